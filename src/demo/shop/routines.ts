/** What the shop computes by itself: functions, a procedure, triggers, views and a materialized view. */

export const SHOP_ROUTINES = String.raw`
CREATE FUNCTION sales.discounted(price numeric, percent numeric) RETURNS numeric
  LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
  AS $$ SELECT pg_catalog.round(price * (100 - percent) / 100, 2) $$;
COMMENT ON FUNCTION sales.discounted(numeric, numeric) IS 'Rounded to cents';

CREATE FUNCTION stock.available(wanted integer) RETURNS bigint LANGUAGE plpgsql STABLE AS $body$
DECLARE
  found bigint;
BEGIN
  SELECT pg_catalog.sum(l.quantity) INTO found FROM stock.level l WHERE l.product_id = wanted;
  RETURN coalesce(found, 0);
END
$body$;

CREATE FUNCTION catalog.touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.updated_at := pg_catalog.clock_timestamp();
  RETURN NEW;
END
$$;
CREATE TRIGGER product_touch BEFORE UPDATE ON catalog.product FOR EACH ROW EXECUTE FUNCTION catalog.touch();

CREATE FUNCTION stock.record_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO stock.audit (warehouse_code, product_id, quantity_before, quantity_after)
  VALUES (NEW.warehouse_code, NEW.product_id, OLD.quantity, NEW.quantity);
  RETURN NULL;
END
$$;
CREATE TRIGGER level_audit AFTER UPDATE OF quantity ON stock.level FOR EACH ROW
  WHEN (OLD.quantity IS DISTINCT FROM NEW.quantity) EXECUTE FUNCTION stock.record_change();

CREATE PROCEDURE web.expire_sessions(before timestamptz) LANGUAGE sql
  AS $$ DELETE FROM web.session WHERE expires_at < before $$;

-- Grouped by the primary key: the other columns of orders follow from it.
CREATE VIEW sales.order_summary AS
  SELECT o.id, o.placed_at, o.status, c.email, count(i.line) AS items, sum(i.amount) AS amount
    FROM sales.orders o JOIN sales.customer c ON c.id = o.customer_id
    LEFT JOIN sales.order_item i ON i.order_id = o.id
   GROUP BY o.id, c.id;
COMMENT ON VIEW sales.order_summary IS 'One row per order';

CREATE VIEW catalog.listing AS
  SELECT p.id, p.sku, p.name, b.name AS brand, p.price, sales.discounted(p.price, 10) AS member_price,
         stock.available(p.id) AS available
    FROM catalog.product p JOIN catalog.brand b ON b.id = p.brand_id WHERE p.active;

CREATE VIEW sales.best_customers AS
  SELECT s.email, sum(s.amount) AS spent FROM sales.order_summary s GROUP BY s.email HAVING sum(s.amount) > 1000;

CREATE MATERIALIZED VIEW sales.monthly_revenue AS
  SELECT date_trunc('month', p.paid_on::timestamp)::date AS month, p.method, count(*) AS payments, sum(p.amount) AS amount
    FROM sales.payment p GROUP BY 1, 2;
CREATE UNIQUE INDEX monthly_revenue_key ON sales.monthly_revenue (month, method);
`;
