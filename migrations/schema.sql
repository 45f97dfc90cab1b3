-- What all migrations together make, as opendts reads it: for people and for reviews. Nothing runs it.

-- schema opendts
CREATE SCHEMA IF NOT EXISTS "opendts";

-- table opendts.account
CREATE TABLE "opendts"."account" (
  "id" uuid NOT NULL,
  "name" text COLLATE pg_catalog."C" NOT NULL,
  "password_hash" text,
  "must_change_password" boolean NOT NULL,
  "is_administrator" boolean NOT NULL,
  "is_disabled" boolean NOT NULL,
  "version" integer NOT NULL,
  "created_at" timestamp with time zone NOT NULL
);
ALTER TABLE ONLY "opendts"."account" ALTER COLUMN "is_disabled" SET DEFAULT false, ALTER COLUMN "version" SET DEFAULT 1, ALTER COLUMN "created_at" SET DEFAULT now();

-- table opendts.api_token
CREATE TABLE "opendts"."api_token" (
  "id" uuid NOT NULL,
  "account_id" uuid NOT NULL,
  "name" text COLLATE pg_catalog."C" NOT NULL,
  "prefix" text NOT NULL,
  "token_hash" text NOT NULL,
  "created_at" timestamp with time zone NOT NULL,
  "expires_at" timestamp with time zone NOT NULL,
  "revoked_at" timestamp with time zone
);
ALTER TABLE ONLY "opendts"."api_token" ALTER COLUMN "created_at" SET DEFAULT now();

-- table opendts.audit
CREATE TABLE "opendts"."audit" (
  "id" bigint GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME "opendts"."audit_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1 NO CYCLE) NOT NULL,
  "at" timestamp with time zone NOT NULL,
  "account_id" uuid,
  "account_name" text,
  "via" text NOT NULL,
  "address" text NOT NULL,
  "request_id" text NOT NULL,
  "operation" text NOT NULL,
  "group_id" uuid,
  "group_name" text,
  "object_id" text,
  "object_name" text,
  "outcome" text NOT NULL,
  "error_code" text,
  "before" jsonb,
  "after" jsonb
);
ALTER TABLE ONLY "opendts"."audit" ALTER COLUMN "at" SET DEFAULT clock_timestamp(), ADD CONSTRAINT "audit_outcome_check" CHECK ((outcome = ANY (ARRAY['done'::text, 'failed'::text])));

-- table opendts.audit_unsent
CREATE TABLE "opendts"."audit_unsent" (
  "audit_id" bigint NOT NULL
);

-- table opendts.connection
CREATE TABLE "opendts"."connection" (
  "id" uuid NOT NULL,
  "group_id" uuid NOT NULL,
  "name" text COLLATE pg_catalog."C" NOT NULL,
  "kind" text NOT NULL,
  "conninfo" text NOT NULL,
  "instance_id" text,
  "region" text,
  "access_method" text,
  "secret_kind" text NOT NULL,
  "sealed_key_id" text,
  "sealed" text,
  "secret_reference" text,
  "version" integer NOT NULL,
  "created_at" timestamp with time zone NOT NULL,
  "updated_at" timestamp with time zone NOT NULL,
  "max_connections" integer
);
ALTER TABLE ONLY "opendts"."connection" ALTER COLUMN "version" SET DEFAULT 1, ALTER COLUMN "created_at" SET DEFAULT now(), ALTER COLUMN "updated_at" SET DEFAULT now(), ADD CONSTRAINT "connection_max_connections_check" CHECK ((max_connections > 0)), ADD CONSTRAINT "connection_referred" CHECK (((secret_kind = ANY (ARRAY['file'::text, 'env'::text])) = (secret_reference IS NOT NULL))), ADD CONSTRAINT "connection_sealed" CHECK (((secret_kind = 'sealed'::text) = (sealed IS NOT NULL))), ADD CONSTRAINT "connection_sealed_key" CHECK (((sealed IS NULL) = (sealed_key_id IS NULL))), ADD CONSTRAINT "connection_secret_kind_check" CHECK ((secret_kind = ANY (ARRAY['none'::text, 'sealed'::text, 'file'::text, 'env'::text])));

-- table opendts.connection_use
CREATE TABLE "opendts"."connection_use" (
  "connection_id" uuid NOT NULL,
  "task_id" uuid NOT NULL,
  "worker_id" uuid NOT NULL,
  "count" integer NOT NULL
);
ALTER TABLE ONLY "opendts"."connection_use" ADD CONSTRAINT "connection_use_count_check" CHECK ((count > 0));

-- table opendts.copy_hand
CREATE TABLE "opendts"."copy_hand" (
  "id" uuid NOT NULL,
  "pass_id" uuid NOT NULL,
  "worker_id" uuid NOT NULL,
  "state" text NOT NULL,
  "beats" bigint NOT NULL,
  "unit" integer NOT NULL,
  "batch" jsonb,
  "passed" jsonb NOT NULL,
  "result" jsonb
);
ALTER TABLE ONLY "opendts"."copy_hand" ALTER COLUMN "state" SET DEFAULT 'opening'::text, ALTER COLUMN "beats" SET DEFAULT 0, ALTER COLUMN "unit" SET DEFAULT 0, ALTER COLUMN "passed" SET DEFAULT '{}'::jsonb, ADD CONSTRAINT "copy_hand_state_check" CHECK ((state = ANY (ARRAY['opening'::text, 'ready'::text, 'given'::text, 'copying'::text, 'done'::text, 'failed'::text])));

-- table opendts.copy_pass
CREATE TABLE "opendts"."copy_pass" (
  "id" uuid NOT NULL,
  "task_id" uuid NOT NULL,
  "fence" bigint NOT NULL,
  "format" integer NOT NULL,
  "hand_task" jsonb NOT NULL,
  "jobs" integer NOT NULL,
  "hands" integer NOT NULL,
  "bytes_left" bigint NOT NULL,
  "limits" jsonb NOT NULL,
  "is_over" boolean NOT NULL,
  "beat_at" timestamp with time zone NOT NULL
);
ALTER TABLE ONLY "opendts"."copy_pass" ALTER COLUMN "is_over" SET DEFAULT false, ALTER COLUMN "beat_at" SET DEFAULT now();

-- table opendts.idempotency
CREATE TABLE "opendts"."idempotency" (
  "account_id" uuid NOT NULL,
  "key" text NOT NULL,
  "operation" text NOT NULL,
  "request_digest" text NOT NULL,
  "response" jsonb,
  "created_at" timestamp with time zone NOT NULL
);
ALTER TABLE ONLY "opendts"."idempotency" ALTER COLUMN "created_at" SET DEFAULT now();

-- table opendts.login_attempt
CREATE TABLE "opendts"."login_attempt" (
  "subject" text NOT NULL,
  "attempts" integer NOT NULL,
  "first_at" timestamp with time zone NOT NULL
);

-- table opendts.login_session
CREATE TABLE "opendts"."login_session" (
  "token_hash" text NOT NULL,
  "account_id" uuid NOT NULL,
  "created_at" timestamp with time zone NOT NULL,
  "expires_at" timestamp with time zone NOT NULL
);
ALTER TABLE ONLY "opendts"."login_session" ALTER COLUMN "created_at" SET DEFAULT now();

-- table opendts.membership
CREATE TABLE "opendts"."membership" (
  "group_id" uuid NOT NULL,
  "account_id" uuid NOT NULL,
  "role" text NOT NULL,
  "rights" jsonb NOT NULL
);
ALTER TABLE ONLY "opendts"."membership" ADD CONSTRAINT "membership_role_check" CHECK ((role = ANY (ARRAY['viewer'::text, 'operator'::text, 'migrator'::text, 'switcher'::text, 'admin'::text])));

-- table opendts.migration
CREATE TABLE "opendts"."migration" (
  "number" integer NOT NULL,
  "name" text NOT NULL,
  "checksum" text NOT NULL,
  "applied_at" timestamp with time zone NOT NULL,
  "breaks" text
);
ALTER TABLE ONLY "opendts"."migration" ALTER COLUMN "applied_at" SET DEFAULT now();

-- table opendts.resource_group
CREATE TABLE "opendts"."resource_group" (
  "id" uuid NOT NULL,
  "name" text COLLATE pg_catalog."C" NOT NULL,
  "created_at" timestamp with time zone NOT NULL
);
ALTER TABLE ONLY "opendts"."resource_group" ALTER COLUMN "created_at" SET DEFAULT now();

-- table opendts.task
CREATE TABLE "opendts"."task" (
  "id" uuid NOT NULL,
  "group_id" uuid NOT NULL,
  "name" text COLLATE pg_catalog."C" NOT NULL,
  "task_group" text COLLATE pg_catalog."C",
  "source_connection" uuid,
  "target_connection" uuid,
  "spec" jsonb NOT NULL,
  "class" text NOT NULL,
  "environment" text,
  "cluster" text,
  "desired" text NOT NULL,
  "state" text NOT NULL,
  "state_since" timestamp with time zone NOT NULL,
  "engine_task_id" text,
  "fence" bigint NOT NULL,
  "worker_id" uuid,
  "stopped_by" text,
  "failure" jsonb,
  "failed_since" timestamp with time zone,
  "attempts" integer NOT NULL,
  "next_attempt_at" timestamp with time zone,
  "retry_connect_minutes" integer NOT NULL,
  "retry_other_minutes" integer NOT NULL,
  "retry_set_at" timestamp with time zone NOT NULL,
  "adjustments" jsonb NOT NULL,
  "started_at" timestamp with time zone,
  "ended_at" timestamp with time zone,
  "version" integer NOT NULL,
  "created_by" text,
  "created_at" timestamp with time zone NOT NULL,
  "updated_at" timestamp with time zone NOT NULL,
  "halt_mark" text,
  "start_at" timestamp with time zone,
  "blackout" jsonb NOT NULL
);
ALTER TABLE ONLY "opendts"."task" ALTER COLUMN "state_since" SET DEFAULT now(), ALTER COLUMN "fence" SET DEFAULT 0, ALTER COLUMN "attempts" SET DEFAULT 0, ALTER COLUMN "retry_set_at" SET DEFAULT clock_timestamp(), ALTER COLUMN "adjustments" SET DEFAULT '{}'::jsonb, ALTER COLUMN "version" SET DEFAULT 1, ALTER COLUMN "created_at" SET DEFAULT now(), ALTER COLUMN "updated_at" SET DEFAULT now(), ALTER COLUMN "blackout" SET DEFAULT '[]'::jsonb, ADD CONSTRAINT "task_desired_check" CHECK ((desired = ANY (ARRAY['idle'::text, 'precheck'::text, 'running'::text, 'paused'::text, 'stopped'::text, 'released'::text]))), ADD CONSTRAINT "task_retry" CHECK ((retry_other_minutes < retry_connect_minutes)), ADD CONSTRAINT "task_retry_connect_minutes_check" CHECK (((retry_connect_minutes >= 10) AND (retry_connect_minutes <= 1440))), ADD CONSTRAINT "task_retry_other_minutes_check" CHECK (((retry_other_minutes >= 1) AND (retry_other_minutes <= 1440))), ADD CONSTRAINT "task_stopped_by_check" CHECK ((stopped_by = ANY (ARRAY['person'::text, 'failure'::text])));

-- table opendts.task_event
CREATE TABLE "opendts"."task_event" (
  "id" bigint GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME "opendts"."task_event_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1 NO CYCLE) NOT NULL,
  "task_id" uuid NOT NULL,
  "at" timestamp with time zone NOT NULL,
  "kind" text NOT NULL,
  "from_state" text,
  "to_state" text,
  "account_id" uuid,
  "account_name" text,
  "worker_id" uuid,
  "facts" jsonb NOT NULL
);
ALTER TABLE ONLY "opendts"."task_event" ALTER COLUMN "at" SET DEFAULT clock_timestamp(), ALTER COLUMN "facts" SET DEFAULT '{}'::jsonb;

-- table opendts.task_precheck
CREATE TABLE "opendts"."task_precheck" (
  "task_id" uuid NOT NULL,
  "at" timestamp with time zone NOT NULL,
  "body" jsonb NOT NULL
);
ALTER TABLE ONLY "opendts"."task_precheck" ALTER COLUMN "at" SET DEFAULT clock_timestamp();

-- table opendts.task_progress
CREATE TABLE "opendts"."task_progress" (
  "task_id" uuid NOT NULL,
  "fence" bigint NOT NULL,
  "at" timestamp with time zone NOT NULL,
  "body" jsonb NOT NULL,
  "delay_ms" bigint
);
ALTER TABLE ONLY "opendts"."task_progress" ALTER COLUMN "at" SET DEFAULT clock_timestamp();

-- table opendts.task_series
CREATE TABLE "opendts"."task_series" (
  "task_id" uuid NOT NULL,
  "at" timestamp with time zone NOT NULL,
  "delay_ms" bigint,
  "lag_bytes" bigint,
  "rows_copied" bigint NOT NULL,
  "bytes_copied" bigint NOT NULL,
  "changes_applied" bigint NOT NULL
);

-- table opendts.task_table
CREATE TABLE "opendts"."task_table" (
  "task_id" uuid NOT NULL,
  "name" text COLLATE pg_catalog."C" NOT NULL,
  "stage" text NOT NULL,
  "body" jsonb NOT NULL,
  "updated_at" timestamp with time zone NOT NULL
);
ALTER TABLE ONLY "opendts"."task_table" ALTER COLUMN "updated_at" SET DEFAULT clock_timestamp();

-- table opendts.task_table_wish
CREATE TABLE "opendts"."task_table_wish" (
  "task_id" uuid NOT NULL,
  "name" text COLLATE pg_catalog."C" NOT NULL,
  "wish" text NOT NULL,
  "asked_at" timestamp with time zone NOT NULL,
  "account_name" text
);
ALTER TABLE ONLY "opendts"."task_table_wish" ALTER COLUMN "asked_at" SET DEFAULT clock_timestamp();

-- table opendts.worker
CREATE TABLE "opendts"."worker" (
  "id" uuid NOT NULL,
  "name" text COLLATE pg_catalog."C" NOT NULL,
  "version" text NOT NULL,
  "region" text,
  "cluster" text,
  "host" text NOT NULL,
  "pid" integer NOT NULL,
  "started_at" timestamp with time zone NOT NULL,
  "seen_at" timestamp with time zone NOT NULL,
  "draining" boolean NOT NULL,
  "capacity" integer NOT NULL,
  "knows" integer NOT NULL
);
ALTER TABLE ONLY "opendts"."worker" ALTER COLUMN "started_at" SET DEFAULT now(), ALTER COLUMN "seen_at" SET DEFAULT now(), ALTER COLUMN "draining" SET DEFAULT false, ALTER COLUMN "knows" SET DEFAULT 0;

-- function opendts.audit_to_send()
CREATE FUNCTION opendts.audit_to_send()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
  INSERT INTO opendts.audit_unsent SELECT a.id FROM added a;
  RETURN NULL;
END
$function$
;

-- function opendts.check_pruning()
CREATE FUNCTION opendts.check_pruning()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
DECLARE
  allowed timestamp with time zone;
BEGIN
  SELECT LEAST((e.after ->> 'before')::timestamp with time zone, now() - interval '400 days') INTO allowed
    FROM opendts.audit e
   WHERE e.at >= now() AND e.operation = 'audit.prune' AND e.outcome = 'done'
     AND e.xmin::text::bigint = (txid_current() & 4294967295);
  IF EXISTS (SELECT FROM gone g WHERE allowed IS NULL OR g.at >= allowed) THEN
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NULL;
END
$function$
;

-- function opendts.refuse_change()
CREATE FUNCTION opendts.refuse_change()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
  RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
END
$function$
;

-- index opendts.account_name
CREATE UNIQUE INDEX account_name ON opendts.account USING btree (lower(name));

-- index of primary key opendts.account.account_pkey
CREATE UNIQUE INDEX account_pkey ON opendts.account USING btree (id);

-- primary key opendts.account.account_pkey
ALTER TABLE ONLY "opendts"."account" ADD CONSTRAINT "account_pkey" PRIMARY KEY USING INDEX "account_pkey";

-- index of unique constraint opendts.api_token.api_token_account_id_name_key
CREATE UNIQUE INDEX api_token_account_id_name_key ON opendts.api_token USING btree (account_id, name);

-- unique constraint opendts.api_token.api_token_account_id_name_key
ALTER TABLE ONLY "opendts"."api_token" ADD CONSTRAINT "api_token_account_id_name_key" UNIQUE USING INDEX "api_token_account_id_name_key";

-- index of primary key opendts.api_token.api_token_pkey
CREATE UNIQUE INDEX api_token_pkey ON opendts.api_token USING btree (id);

-- primary key opendts.api_token.api_token_pkey
ALTER TABLE ONLY "opendts"."api_token" ADD CONSTRAINT "api_token_pkey" PRIMARY KEY USING INDEX "api_token_pkey";

-- index of unique constraint opendts.api_token.api_token_token_hash_key
CREATE UNIQUE INDEX api_token_token_hash_key ON opendts.api_token USING btree (token_hash);

-- unique constraint opendts.api_token.api_token_token_hash_key
ALTER TABLE ONLY "opendts"."api_token" ADD CONSTRAINT "api_token_token_hash_key" UNIQUE USING INDEX "api_token_token_hash_key";

-- index opendts.audit_at
CREATE INDEX audit_at ON opendts.audit USING btree (at);

-- index opendts.audit_group
CREATE INDEX audit_group ON opendts.audit USING btree (group_id, id);

-- index of primary key opendts.audit.audit_pkey
CREATE UNIQUE INDEX audit_pkey ON opendts.audit USING btree (id);

-- primary key opendts.audit.audit_pkey
ALTER TABLE ONLY "opendts"."audit" ADD CONSTRAINT "audit_pkey" PRIMARY KEY USING INDEX "audit_pkey";

-- index of primary key opendts.audit_unsent.audit_unsent_pkey
CREATE UNIQUE INDEX audit_unsent_pkey ON opendts.audit_unsent USING btree (audit_id);

-- primary key opendts.audit_unsent.audit_unsent_pkey
ALTER TABLE ONLY "opendts"."audit_unsent" ADD CONSTRAINT "audit_unsent_pkey" PRIMARY KEY USING INDEX "audit_unsent_pkey";

-- index of unique constraint opendts.connection.connection_group_id_name_key
CREATE UNIQUE INDEX connection_group_id_name_key ON opendts.connection USING btree (group_id, name);

-- unique constraint opendts.connection.connection_group_id_name_key
ALTER TABLE ONLY "opendts"."connection" ADD CONSTRAINT "connection_group_id_name_key" UNIQUE USING INDEX "connection_group_id_name_key";

-- index of primary key opendts.connection.connection_pkey
CREATE UNIQUE INDEX connection_pkey ON opendts.connection USING btree (id);

-- primary key opendts.connection.connection_pkey
ALTER TABLE ONLY "opendts"."connection" ADD CONSTRAINT "connection_pkey" PRIMARY KEY USING INDEX "connection_pkey";

-- index of primary key opendts.connection_use.connection_use_pkey
CREATE UNIQUE INDEX connection_use_pkey ON opendts.connection_use USING btree (connection_id, task_id);

-- primary key opendts.connection_use.connection_use_pkey
ALTER TABLE ONLY "opendts"."connection_use" ADD CONSTRAINT "connection_use_pkey" PRIMARY KEY USING INDEX "connection_use_pkey";

-- index opendts.copy_hand_pass
CREATE INDEX copy_hand_pass ON opendts.copy_hand USING btree (pass_id);

-- index of primary key opendts.copy_hand.copy_hand_pkey
CREATE UNIQUE INDEX copy_hand_pkey ON opendts.copy_hand USING btree (id);

-- primary key opendts.copy_hand.copy_hand_pkey
ALTER TABLE ONLY "opendts"."copy_hand" ADD CONSTRAINT "copy_hand_pkey" PRIMARY KEY USING INDEX "copy_hand_pkey";

-- index of primary key opendts.copy_pass.copy_pass_pkey
CREATE UNIQUE INDEX copy_pass_pkey ON opendts.copy_pass USING btree (id);

-- primary key opendts.copy_pass.copy_pass_pkey
ALTER TABLE ONLY "opendts"."copy_pass" ADD CONSTRAINT "copy_pass_pkey" PRIMARY KEY USING INDEX "copy_pass_pkey";

-- index opendts.copy_pass_task
CREATE INDEX copy_pass_task ON opendts.copy_pass USING btree (task_id);

-- index of primary key opendts.idempotency.idempotency_pkey
CREATE UNIQUE INDEX idempotency_pkey ON opendts.idempotency USING btree (account_id, key);

-- primary key opendts.idempotency.idempotency_pkey
ALTER TABLE ONLY "opendts"."idempotency" ADD CONSTRAINT "idempotency_pkey" PRIMARY KEY USING INDEX "idempotency_pkey";

-- index of primary key opendts.login_attempt.login_attempt_pkey
CREATE UNIQUE INDEX login_attempt_pkey ON opendts.login_attempt USING btree (subject);

-- primary key opendts.login_attempt.login_attempt_pkey
ALTER TABLE ONLY "opendts"."login_attempt" ADD CONSTRAINT "login_attempt_pkey" PRIMARY KEY USING INDEX "login_attempt_pkey";

-- index opendts.login_session_account
CREATE INDEX login_session_account ON opendts.login_session USING btree (account_id);

-- index of primary key opendts.login_session.login_session_pkey
CREATE UNIQUE INDEX login_session_pkey ON opendts.login_session USING btree (token_hash);

-- primary key opendts.login_session.login_session_pkey
ALTER TABLE ONLY "opendts"."login_session" ADD CONSTRAINT "login_session_pkey" PRIMARY KEY USING INDEX "login_session_pkey";

-- index opendts.membership_account
CREATE INDEX membership_account ON opendts.membership USING btree (account_id);

-- index of primary key opendts.membership.membership_pkey
CREATE UNIQUE INDEX membership_pkey ON opendts.membership USING btree (group_id, account_id);

-- primary key opendts.membership.membership_pkey
ALTER TABLE ONLY "opendts"."membership" ADD CONSTRAINT "membership_pkey" PRIMARY KEY USING INDEX "membership_pkey";

-- index of primary key opendts.migration.migration_pkey
CREATE UNIQUE INDEX migration_pkey ON opendts.migration USING btree (number);

-- primary key opendts.migration.migration_pkey
ALTER TABLE ONLY "opendts"."migration" ADD CONSTRAINT "migration_pkey" PRIMARY KEY USING INDEX "migration_pkey";

-- index of unique constraint opendts.resource_group.resource_group_name_key
CREATE UNIQUE INDEX resource_group_name_key ON opendts.resource_group USING btree (name);

-- unique constraint opendts.resource_group.resource_group_name_key
ALTER TABLE ONLY "opendts"."resource_group" ADD CONSTRAINT "resource_group_name_key" UNIQUE USING INDEX "resource_group_name_key";

-- index of primary key opendts.resource_group.resource_group_pkey
CREATE UNIQUE INDEX resource_group_pkey ON opendts.resource_group USING btree (id);

-- primary key opendts.resource_group.resource_group_pkey
ALTER TABLE ONLY "opendts"."resource_group" ADD CONSTRAINT "resource_group_pkey" PRIMARY KEY USING INDEX "resource_group_pkey";

-- index opendts.task_desired
CREATE INDEX task_desired ON opendts.task USING btree (desired, state);

-- index opendts.task_list
CREATE INDEX task_list ON opendts.task USING btree (group_id, created_at, id);

-- index of primary key opendts.task.task_pkey
CREATE UNIQUE INDEX task_pkey ON opendts.task USING btree (id);

-- primary key opendts.task.task_pkey
ALTER TABLE ONLY "opendts"."task" ADD CONSTRAINT "task_pkey" PRIMARY KEY USING INDEX "task_pkey";

-- index opendts.task_source
CREATE INDEX task_source ON opendts.task USING btree (source_connection);

-- index opendts.task_target
CREATE INDEX task_target ON opendts.task USING btree (target_connection);

-- index of primary key opendts.task_event.task_event_pkey
CREATE UNIQUE INDEX task_event_pkey ON opendts.task_event USING btree (id);

-- primary key opendts.task_event.task_event_pkey
ALTER TABLE ONLY "opendts"."task_event" ADD CONSTRAINT "task_event_pkey" PRIMARY KEY USING INDEX "task_event_pkey";

-- index opendts.task_event_task
CREATE INDEX task_event_task ON opendts.task_event USING btree (task_id, id);

-- index of primary key opendts.task_precheck.task_precheck_pkey
CREATE UNIQUE INDEX task_precheck_pkey ON opendts.task_precheck USING btree (task_id);

-- primary key opendts.task_precheck.task_precheck_pkey
ALTER TABLE ONLY "opendts"."task_precheck" ADD CONSTRAINT "task_precheck_pkey" PRIMARY KEY USING INDEX "task_precheck_pkey";

-- index of primary key opendts.task_progress.task_progress_pkey
CREATE UNIQUE INDEX task_progress_pkey ON opendts.task_progress USING btree (task_id);

-- primary key opendts.task_progress.task_progress_pkey
ALTER TABLE ONLY "opendts"."task_progress" ADD CONSTRAINT "task_progress_pkey" PRIMARY KEY USING INDEX "task_progress_pkey";

-- index opendts.task_series_at
CREATE INDEX task_series_at ON opendts.task_series USING btree (at);

-- index of primary key opendts.task_series.task_series_pkey
CREATE UNIQUE INDEX task_series_pkey ON opendts.task_series USING btree (task_id, at);

-- primary key opendts.task_series.task_series_pkey
ALTER TABLE ONLY "opendts"."task_series" ADD CONSTRAINT "task_series_pkey" PRIMARY KEY USING INDEX "task_series_pkey";

-- index of primary key opendts.task_table.task_table_pkey
CREATE UNIQUE INDEX task_table_pkey ON opendts.task_table USING btree (task_id, name);

-- primary key opendts.task_table.task_table_pkey
ALTER TABLE ONLY "opendts"."task_table" ADD CONSTRAINT "task_table_pkey" PRIMARY KEY USING INDEX "task_table_pkey";

-- index of primary key opendts.task_table_wish.task_table_wish_pkey
CREATE UNIQUE INDEX task_table_wish_pkey ON opendts.task_table_wish USING btree (task_id, name);

-- primary key opendts.task_table_wish.task_table_wish_pkey
ALTER TABLE ONLY "opendts"."task_table_wish" ADD CONSTRAINT "task_table_wish_pkey" PRIMARY KEY USING INDEX "task_table_wish_pkey";

-- index of primary key opendts.worker.worker_pkey
CREATE UNIQUE INDEX worker_pkey ON opendts.worker USING btree (id);

-- primary key opendts.worker.worker_pkey
ALTER TABLE ONLY "opendts"."worker" ADD CONSTRAINT "worker_pkey" PRIMARY KEY USING INDEX "worker_pkey";

-- foreign key opendts.api_token.api_token_account_id_fkey
ALTER TABLE ONLY "opendts"."api_token" ADD CONSTRAINT "api_token_account_id_fkey" FOREIGN KEY (account_id) REFERENCES opendts.account(id) ON DELETE CASCADE NOT VALID;

-- validation of foreign key opendts.api_token.api_token_account_id_fkey
ALTER TABLE "opendts"."api_token" VALIDATE CONSTRAINT "api_token_account_id_fkey";

-- foreign key opendts.audit_unsent.audit_unsent_audit_id_fkey
ALTER TABLE ONLY "opendts"."audit_unsent" ADD CONSTRAINT "audit_unsent_audit_id_fkey" FOREIGN KEY (audit_id) REFERENCES opendts.audit(id) ON DELETE CASCADE NOT VALID;

-- validation of foreign key opendts.audit_unsent.audit_unsent_audit_id_fkey
ALTER TABLE "opendts"."audit_unsent" VALIDATE CONSTRAINT "audit_unsent_audit_id_fkey";

-- foreign key opendts.connection.connection_group_id_fkey
ALTER TABLE ONLY "opendts"."connection" ADD CONSTRAINT "connection_group_id_fkey" FOREIGN KEY (group_id) REFERENCES opendts.resource_group(id) NOT VALID;

-- validation of foreign key opendts.connection.connection_group_id_fkey
ALTER TABLE "opendts"."connection" VALIDATE CONSTRAINT "connection_group_id_fkey";

-- foreign key opendts.connection_use.connection_use_connection_id_fkey
ALTER TABLE ONLY "opendts"."connection_use" ADD CONSTRAINT "connection_use_connection_id_fkey" FOREIGN KEY (connection_id) REFERENCES opendts.connection(id) ON DELETE CASCADE NOT VALID;

-- validation of foreign key opendts.connection_use.connection_use_connection_id_fkey
ALTER TABLE "opendts"."connection_use" VALIDATE CONSTRAINT "connection_use_connection_id_fkey";

-- foreign key opendts.connection_use.connection_use_task_id_fkey
ALTER TABLE ONLY "opendts"."connection_use" ADD CONSTRAINT "connection_use_task_id_fkey" FOREIGN KEY (task_id) REFERENCES opendts.task(id) ON DELETE CASCADE NOT VALID;

-- validation of foreign key opendts.connection_use.connection_use_task_id_fkey
ALTER TABLE "opendts"."connection_use" VALIDATE CONSTRAINT "connection_use_task_id_fkey";

-- foreign key opendts.copy_hand.copy_hand_pass_id_fkey
ALTER TABLE ONLY "opendts"."copy_hand" ADD CONSTRAINT "copy_hand_pass_id_fkey" FOREIGN KEY (pass_id) REFERENCES opendts.copy_pass(id) ON DELETE CASCADE NOT VALID;

-- validation of foreign key opendts.copy_hand.copy_hand_pass_id_fkey
ALTER TABLE "opendts"."copy_hand" VALIDATE CONSTRAINT "copy_hand_pass_id_fkey";

-- foreign key opendts.copy_pass.copy_pass_task_id_fkey
ALTER TABLE ONLY "opendts"."copy_pass" ADD CONSTRAINT "copy_pass_task_id_fkey" FOREIGN KEY (task_id) REFERENCES opendts.task(id) ON DELETE CASCADE NOT VALID;

-- validation of foreign key opendts.copy_pass.copy_pass_task_id_fkey
ALTER TABLE "opendts"."copy_pass" VALIDATE CONSTRAINT "copy_pass_task_id_fkey";

-- foreign key opendts.idempotency.idempotency_account_id_fkey
ALTER TABLE ONLY "opendts"."idempotency" ADD CONSTRAINT "idempotency_account_id_fkey" FOREIGN KEY (account_id) REFERENCES opendts.account(id) ON DELETE CASCADE NOT VALID;

-- validation of foreign key opendts.idempotency.idempotency_account_id_fkey
ALTER TABLE "opendts"."idempotency" VALIDATE CONSTRAINT "idempotency_account_id_fkey";

-- foreign key opendts.login_session.login_session_account_id_fkey
ALTER TABLE ONLY "opendts"."login_session" ADD CONSTRAINT "login_session_account_id_fkey" FOREIGN KEY (account_id) REFERENCES opendts.account(id) ON DELETE CASCADE NOT VALID;

-- validation of foreign key opendts.login_session.login_session_account_id_fkey
ALTER TABLE "opendts"."login_session" VALIDATE CONSTRAINT "login_session_account_id_fkey";

-- foreign key opendts.membership.membership_account_id_fkey
ALTER TABLE ONLY "opendts"."membership" ADD CONSTRAINT "membership_account_id_fkey" FOREIGN KEY (account_id) REFERENCES opendts.account(id) ON DELETE CASCADE NOT VALID;

-- validation of foreign key opendts.membership.membership_account_id_fkey
ALTER TABLE "opendts"."membership" VALIDATE CONSTRAINT "membership_account_id_fkey";

-- foreign key opendts.membership.membership_group_id_fkey
ALTER TABLE ONLY "opendts"."membership" ADD CONSTRAINT "membership_group_id_fkey" FOREIGN KEY (group_id) REFERENCES opendts.resource_group(id) NOT VALID;

-- validation of foreign key opendts.membership.membership_group_id_fkey
ALTER TABLE "opendts"."membership" VALIDATE CONSTRAINT "membership_group_id_fkey";

-- foreign key opendts.task.task_group_id_fkey
ALTER TABLE ONLY "opendts"."task" ADD CONSTRAINT "task_group_id_fkey" FOREIGN KEY (group_id) REFERENCES opendts.resource_group(id) NOT VALID;

-- validation of foreign key opendts.task.task_group_id_fkey
ALTER TABLE "opendts"."task" VALIDATE CONSTRAINT "task_group_id_fkey";

-- foreign key opendts.task.task_source_connection_fkey
ALTER TABLE ONLY "opendts"."task" ADD CONSTRAINT "task_source_connection_fkey" FOREIGN KEY (source_connection) REFERENCES opendts.connection(id) NOT VALID;

-- validation of foreign key opendts.task.task_source_connection_fkey
ALTER TABLE "opendts"."task" VALIDATE CONSTRAINT "task_source_connection_fkey";

-- foreign key opendts.task.task_target_connection_fkey
ALTER TABLE ONLY "opendts"."task" ADD CONSTRAINT "task_target_connection_fkey" FOREIGN KEY (target_connection) REFERENCES opendts.connection(id) NOT VALID;

-- validation of foreign key opendts.task.task_target_connection_fkey
ALTER TABLE "opendts"."task" VALIDATE CONSTRAINT "task_target_connection_fkey";

-- foreign key opendts.task_event.task_event_task_id_fkey
ALTER TABLE ONLY "opendts"."task_event" ADD CONSTRAINT "task_event_task_id_fkey" FOREIGN KEY (task_id) REFERENCES opendts.task(id) ON DELETE CASCADE NOT VALID;

-- validation of foreign key opendts.task_event.task_event_task_id_fkey
ALTER TABLE "opendts"."task_event" VALIDATE CONSTRAINT "task_event_task_id_fkey";

-- foreign key opendts.task_precheck.task_precheck_task_id_fkey
ALTER TABLE ONLY "opendts"."task_precheck" ADD CONSTRAINT "task_precheck_task_id_fkey" FOREIGN KEY (task_id) REFERENCES opendts.task(id) ON DELETE CASCADE NOT VALID;

-- validation of foreign key opendts.task_precheck.task_precheck_task_id_fkey
ALTER TABLE "opendts"."task_precheck" VALIDATE CONSTRAINT "task_precheck_task_id_fkey";

-- foreign key opendts.task_progress.task_progress_task_id_fkey
ALTER TABLE ONLY "opendts"."task_progress" ADD CONSTRAINT "task_progress_task_id_fkey" FOREIGN KEY (task_id) REFERENCES opendts.task(id) ON DELETE CASCADE NOT VALID;

-- validation of foreign key opendts.task_progress.task_progress_task_id_fkey
ALTER TABLE "opendts"."task_progress" VALIDATE CONSTRAINT "task_progress_task_id_fkey";

-- foreign key opendts.task_series.task_series_task_id_fkey
ALTER TABLE ONLY "opendts"."task_series" ADD CONSTRAINT "task_series_task_id_fkey" FOREIGN KEY (task_id) REFERENCES opendts.task(id) ON DELETE CASCADE NOT VALID;

-- validation of foreign key opendts.task_series.task_series_task_id_fkey
ALTER TABLE "opendts"."task_series" VALIDATE CONSTRAINT "task_series_task_id_fkey";

-- foreign key opendts.task_table.task_table_task_id_fkey
ALTER TABLE ONLY "opendts"."task_table" ADD CONSTRAINT "task_table_task_id_fkey" FOREIGN KEY (task_id) REFERENCES opendts.task(id) ON DELETE CASCADE NOT VALID;

-- validation of foreign key opendts.task_table.task_table_task_id_fkey
ALTER TABLE "opendts"."task_table" VALIDATE CONSTRAINT "task_table_task_id_fkey";

-- foreign key opendts.task_table_wish.task_table_wish_task_id_fkey
ALTER TABLE ONLY "opendts"."task_table_wish" ADD CONSTRAINT "task_table_wish_task_id_fkey" FOREIGN KEY (task_id) REFERENCES opendts.task(id) ON DELETE CASCADE NOT VALID;

-- validation of foreign key opendts.task_table_wish.task_table_wish_task_id_fkey
ALTER TABLE "opendts"."task_table_wish" VALIDATE CONSTRAINT "task_table_wish_task_id_fkey";

-- trigger opendts.audit.audit_append_only
CREATE TRIGGER audit_append_only BEFORE UPDATE ON opendts.audit FOR EACH ROW EXECUTE FUNCTION opendts.refuse_change();
ALTER TABLE "opendts"."audit" ENABLE ALWAYS TRIGGER "audit_append_only";

-- trigger opendts.audit.audit_not_emptied
CREATE TRIGGER audit_not_emptied BEFORE TRUNCATE ON opendts.audit FOR EACH STATEMENT EXECUTE FUNCTION opendts.refuse_change();
ALTER TABLE "opendts"."audit" ENABLE ALWAYS TRIGGER "audit_not_emptied";

-- trigger opendts.audit.audit_pruned
CREATE TRIGGER audit_pruned AFTER DELETE ON opendts.audit REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION opendts.check_pruning();
ALTER TABLE "opendts"."audit" ENABLE ALWAYS TRIGGER "audit_pruned";

-- trigger opendts.audit.audit_to_send
CREATE TRIGGER audit_to_send AFTER INSERT ON opendts.audit REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION opendts.audit_to_send();
ALTER TABLE "opendts"."audit" ENABLE ALWAYS TRIGGER "audit_to_send";
