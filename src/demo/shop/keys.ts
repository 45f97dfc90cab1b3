/** Keys, indexes and foreign keys of the shop, made when the rows are there: faster, and the rows are checked on the way. */

export const SHOP_KEYS = String.raw`
ALTER TABLE catalog.category ADD PRIMARY KEY (id), ADD CONSTRAINT category_path UNIQUE (path);
ALTER TABLE catalog.brand ADD PRIMARY KEY (id);
ALTER TABLE catalog.product ADD PRIMARY KEY (id), ADD CONSTRAINT product_sku UNIQUE (sku);
ALTER TABLE catalog.product_text ADD PRIMARY KEY (product_id);
ALTER TABLE catalog.product_image ADD PRIMARY KEY (id);
ALTER TABLE catalog.price_history ADD CONSTRAINT price_history_key PRIMARY KEY (product_id, valid);
ALTER TABLE stock.warehouse ADD PRIMARY KEY (code);
ALTER TABLE sales.customer ADD PRIMARY KEY (id);
ALTER TABLE sales.coupon ADD PRIMARY KEY (code);
ALTER TABLE sales.orders ADD PRIMARY KEY (id);
ALTER TABLE sales.order_item ADD PRIMARY KEY (order_id, line);
ALTER TABLE sales.payment ADD PRIMARY KEY (id, paid_on);
ALTER TABLE sales.shipment ADD PRIMARY KEY (id);
ALTER TABLE sales.review ADD PRIMARY KEY (product_id, customer_id) INCLUDE (rating);
ALTER TABLE web.session ADD PRIMARY KEY (token);
ALTER TABLE web.event ADD PRIMARY KEY (id);

CREATE INDEX product_category ON catalog.product (category_id, price DESC NULLS LAST);
CREATE INDEX product_attributes ON catalog.product USING gin (attributes jsonb_path_ops);
CREATE INDEX product_tags ON catalog.product USING gin (tags);
CREATE INDEX product_image_product ON catalog.product_image (product_id);
CREATE UNIQUE INDEX customer_email ON sales.customer (lower(email));
CREATE INDEX customer_city ON sales.customer (((home).city)) WHERE home IS NOT NULL;
CREATE INDEX orders_customer ON sales.orders (customer_id, placed_at DESC);
CREATE INDEX orders_open ON sales.orders (id) WHERE status = 'new';
CREATE INDEX orders_coupon ON sales.orders (coupon_code) WHERE coupon_code IS NOT NULL;
CREATE INDEX payment_order ON sales.payment (order_id);
CREATE INDEX shipment_order ON sales.shipment (order_id);
CREATE INDEX event_at ON web.event USING brin (at);
CREATE INDEX page_view_url ON web.page_view USING hash (url);
COMMENT ON INDEX sales.customer_email IS 'One account per address, whatever the case';

ALTER TABLE catalog.category ADD FOREIGN KEY (parent_id) REFERENCES catalog.category;
ALTER TABLE catalog.product ADD FOREIGN KEY (brand_id) REFERENCES catalog.brand;
ALTER TABLE catalog.product ADD FOREIGN KEY (category_id) REFERENCES catalog.category;
ALTER TABLE catalog.product_text ADD FOREIGN KEY (product_id) REFERENCES catalog.product ON DELETE CASCADE;
ALTER TABLE catalog.product_image ADD FOREIGN KEY (product_id) REFERENCES catalog.product ON DELETE CASCADE;
ALTER TABLE catalog.price_history ADD FOREIGN KEY (product_id) REFERENCES catalog.product ON DELETE CASCADE;
ALTER TABLE stock.level ADD FOREIGN KEY (warehouse_code) REFERENCES stock.warehouse;
ALTER TABLE stock.level ADD FOREIGN KEY (product_id) REFERENCES catalog.product DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE sales.orders ADD FOREIGN KEY (customer_id) REFERENCES sales.customer;
ALTER TABLE sales.orders ADD CONSTRAINT orders_coupon FOREIGN KEY (coupon_code) REFERENCES sales.coupon ON UPDATE CASCADE;
ALTER TABLE sales.order_item ADD FOREIGN KEY (order_id) REFERENCES sales.orders ON DELETE CASCADE;
ALTER TABLE sales.order_item ADD FOREIGN KEY (product_id) REFERENCES catalog.product;
ALTER TABLE sales.payment ADD FOREIGN KEY (order_id) REFERENCES sales.orders ON DELETE CASCADE;
ALTER TABLE sales.shipment ADD FOREIGN KEY (order_id) REFERENCES sales.orders ON DELETE CASCADE;
ALTER TABLE sales.shipment ADD FOREIGN KEY (warehouse_code) REFERENCES stock.warehouse;
ALTER TABLE sales.review ADD FOREIGN KEY (product_id) REFERENCES catalog.product;
ALTER TABLE sales.review ADD FOREIGN KEY (customer_id) REFERENCES sales.customer;
ALTER TABLE web.session ADD FOREIGN KEY (customer_id) REFERENCES sales.customer ON DELETE SET NULL;
`;
