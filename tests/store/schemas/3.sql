BEGIN TRANSACTION;
CREATE TABLE audit_entry (
	id BIGINT NOT NULL, 
	at BIGINT NOT NULL, 
	person TEXT NOT NULL, 
	platform TEXT NOT NULL, 
	action TEXT NOT NULL, 
	entity TEXT NOT NULL, 
	execution_id TEXT NOT NULL, 
	flow TEXT NOT NULL, 
	details TEXT NOT NULL, 
	facts TEXT NOT NULL, 
	prev TEXT NOT NULL, 
	hash TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE audit_private (
	"key" TEXT NOT NULL, 
	salt TEXT NOT NULL, 
	owner TEXT NOT NULL, 
	content TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
CREATE TABLE chat_alias (
	workspace TEXT NOT NULL, 
	name TEXT NOT NULL, 
	command TEXT NOT NULL, 
	person TEXT NOT NULL, 
	created BIGINT NOT NULL, 
	PRIMARY KEY (workspace, name)
);
CREATE TABLE chat_delegation (
	pause_id VARCHAR(64) NOT NULL, 
	giver VARCHAR(200) NOT NULL, 
	giver_name TEXT NOT NULL, 
	taker VARCHAR(200) NOT NULL, 
	at BIGINT NOT NULL, 
	PRIMARY KEY (pause_id, giver)
);
CREATE TABLE chat_draft (
	id TEXT NOT NULL, 
	person TEXT NOT NULL, 
	document TEXT NOT NULL, 
	changed BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE chat_evidence (
	message TEXT NOT NULL, 
	shown TEXT NOT NULL, 
	PRIMARY KEY (message)
);
CREATE TABLE chat_message (
	id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	entity TEXT NOT NULL, 
	execution_id TEXT NOT NULL, 
	platform TEXT NOT NULL, 
	place TEXT NOT NULL, 
	room TEXT NOT NULL, 
	message TEXT, 
	generation INTEGER NOT NULL, 
	desired BIGINT NOT NULL, 
	shown BIGINT NOT NULL, 
	digest TEXT NOT NULL, 
	urgency INTEGER NOT NULL, 
	state TEXT NOT NULL, 
	problem TEXT NOT NULL, 
	attempts INTEGER NOT NULL, 
	due BIGINT NOT NULL, 
	changed BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE chat_notice (
	id TEXT NOT NULL, 
	platform TEXT NOT NULL, 
	room TEXT NOT NULL, 
	person TEXT, 
	notice TEXT NOT NULL, 
	attempts INTEGER NOT NULL, 
	due BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE chat_person (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	platform TEXT NOT NULL, 
	mention TEXT NOT NULL, 
	zone TEXT, 
	seen BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE chat_receipt (
	"key" TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	event TEXT NOT NULL, 
	state TEXT NOT NULL, 
	answer TEXT, 
	handed BOOLEAN NOT NULL, 
	created BIGINT NOT NULL, 
	PRIMARY KEY ("key")
);
CREATE TABLE chat_room_setting (
	room TEXT NOT NULL, 
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	until BIGINT, 
	PRIMARY KEY (room, name)
);
CREATE TABLE chat_run (
	execution_id TEXT NOT NULL, 
	person TEXT NOT NULL, 
	room TEXT NOT NULL, 
	place TEXT NOT NULL, 
	flow TEXT NOT NULL, 
	created BIGINT NOT NULL, 
	PRIMARY KEY (execution_id)
);
CREATE TABLE chat_rung (
	id VARCHAR(300) NOT NULL, 
	pause_id VARCHAR(64) NOT NULL, 
	kind VARCHAR(12) NOT NULL, 
	person VARCHAR(200) NOT NULL, 
	detail TEXT NOT NULL, 
	due BIGINT NOT NULL, 
	state VARCHAR(8) NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE chat_sequel (
	message TEXT NOT NULL, 
	version BIGINT NOT NULL, 
	platform TEXT NOT NULL, 
	fresh BOOLEAN NOT NULL, 
	PRIMARY KEY (message, version)
);
CREATE TABLE chat_setting (
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE chat_vote (
	pause_id VARCHAR(64) NOT NULL, 
	voter VARCHAR(200) NOT NULL, 
	person VARCHAR(200) NOT NULL, 
	name TEXT NOT NULL, 
	platform VARCHAR(16) NOT NULL, 
	ballot VARCHAR(200) NOT NULL, 
	word TEXT NOT NULL, 
	details TEXT NOT NULL, 
	shown VARCHAR(64) NOT NULL, 
	at BIGINT NOT NULL, 
	PRIMARY KEY (pause_id, voter)
);
CREATE TABLE command (
	id TEXT NOT NULL, 
	execution_id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	run_at BIGINT, 
	payload TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE event (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	execution_id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	payload TEXT NOT NULL, 
	dedupe TEXT, 
	consumed BOOLEAN NOT NULL, 
	created BIGINT NOT NULL, 
	UNIQUE (dedupe)
);
CREATE TABLE execution (
	id TEXT NOT NULL, 
	namespace TEXT NOT NULL, 
	flow_id TEXT NOT NULL, 
	revision INTEGER NOT NULL, 
	state TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	started_by TEXT NOT NULL, 
	caller_id TEXT, 
	caller TEXT, 
	trigger_id TEXT, 
	dedupe TEXT, 
	created BIGINT NOT NULL, 
	updated BIGINT NOT NULL, 
	doc TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (dedupe)
);
INSERT INTO "execution" VALUES('WAITINGEXECUTION','ops','ask',1,'PAUSED',1,'ann',NULL,NULL,NULL,NULL,1767225600576330,1767225600576330,'{"histories":[["CREATED","2026-01-01T00:00:00.576330+00:00"],["RUNNING","2026-01-01T00:00:00.576383+00:00"],["PAUSED","2026-01-01T00:00:00.576383+00:00"]],"labels":[["system.correlationId","WAITINGEXECUTION"]],"variables":{},"origin":null,"parent":null,"original":"WAITINGEXECUTION","attempt":1,"sequence":1,"rendered":{"begun":true},"in":{}}');
CREATE TABLE flow (
	namespace TEXT NOT NULL, 
	id TEXT NOT NULL, 
	revision INTEGER NOT NULL, 
	source TEXT NOT NULL, 
	file TEXT NOT NULL, 
	deleted BOOLEAN NOT NULL, 
	created BIGINT NOT NULL, 
	PRIMARY KEY (namespace, id, revision)
);
INSERT INTO "flow" VALUES('ops','ask',1,'
id: ask
namespace: ops
tasks:
  - id: gate
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - {id: word, type: STRING}
outputs:
  - {id: said, type: STRING, value: "{{ outputs.gate.onResume.word }}"}
','',0,1767225600555058);
CREATE TABLE key_value (
	namespace TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	value TEXT NOT NULL, 
	description TEXT, 
	expires BIGINT, 
	updated BIGINT NOT NULL, 
	PRIMARY KEY (namespace, "key")
);
CREATE TABLE log (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	execution_id TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	level INTEGER NOT NULL, 
	task_id TEXT, 
	task_run_id TEXT, 
	attempt INTEGER, 
	message TEXT NOT NULL
);
CREATE TABLE member (
	id BIGINT NOT NULL, 
	role TEXT NOT NULL, 
	queues TEXT NOT NULL, 
	host TEXT NOT NULL, 
	pid BIGINT NOT NULL, 
	started BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE metric (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	execution_id TEXT NOT NULL, 
	task_run_id TEXT NOT NULL, 
	task_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	value FLOAT NOT NULL, 
	tags TEXT NOT NULL, 
	at BIGINT NOT NULL
);
CREATE TABLE output (
	id TEXT NOT NULL, 
	execution_id TEXT NOT NULL, 
	doc TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE own_schedule (
	namespace TEXT NOT NULL, 
	flow_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	"trigger" TEXT NOT NULL, 
	words TEXT NOT NULL, 
	person TEXT NOT NULL, 
	room TEXT NOT NULL, 
	created BIGINT NOT NULL, 
	PRIMARY KEY (namespace, flow_id, id)
);
INSERT INTO "own_schedule" VALUES('ops','ask','chat-abc123','{"id": "chat-abc123", "type": "io.kestra.plugin.core.trigger.Schedule", "cron": "0 9 * * 1-5", "timezone": "UTC"}','every weekday at 9:00','slack:U1','{"platform": "slack", "channel": "C1", "thread": null, "workspace": "T1", "is_direct": false}',1767225600000000);
CREATE TABLE pause (
	id TEXT NOT NULL, 
	execution_id TEXT NOT NULL, 
	task_run_id TEXT NOT NULL, 
	task_id TEXT NOT NULL, 
	namespace TEXT NOT NULL, 
	flow_id TEXT NOT NULL, 
	state TEXT NOT NULL, 
	created BIGINT NOT NULL, 
	deadline BIGINT, 
	deadline_behavior TEXT NOT NULL, 
	decided_by TEXT, 
	decided_at BIGINT, 
	inputs TEXT, 
	PRIMARY KEY (id)
);
INSERT INTO "pause" VALUES('01KDVDNAJ0CEX2DXCMKF4408TX','WAITINGEXECUTION','WAITINGEXECUTION.1','gate','ops','ask','WAITING',1767225600576734,NULL,'RESUME',NULL,NULL,NULL);
CREATE TABLE person_code (
	digest TEXT NOT NULL, 
	account TEXT NOT NULL, 
	expires BIGINT NOT NULL, 
	PRIMARY KEY (digest)
);
CREATE TABLE person_email (
	account TEXT NOT NULL, 
	email TEXT NOT NULL, 
	seen BIGINT NOT NULL, 
	PRIMARY KEY (account)
);
CREATE TABLE person_link (
	account TEXT NOT NULL, 
	person TEXT NOT NULL, 
	linked BIGINT NOT NULL, 
	PRIMARY KEY (account)
);
CREATE TABLE person_try (
	account TEXT NOT NULL, 
	since BIGINT NOT NULL, 
	wrong INTEGER NOT NULL, 
	PRIMARY KEY (account)
);
CREATE TABLE room_messages (
	id INTEGER NOT NULL, 
	channel TEXT NOT NULL, 
	author TEXT NOT NULL, 
	author_kind TEXT NOT NULL, 
	body TEXT NOT NULL, 
	private_to TEXT, 
	nonce TEXT, 
	version INTEGER NOT NULL, 
	at TEXT NOT NULL, 
	change INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (nonce)
);
CREATE TABLE schema_part (
	name TEXT NOT NULL, 
	version TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "schema_part" VALUES('encryption key','1787eff4794769d55092d43ed275bb7c6b020def3197854adc5d0c230ff6669c');
CREATE TABLE schema_version (
	version INTEGER NOT NULL, 
	applied BIGINT NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "schema_version" VALUES(1,1795864003666461);
INSERT INTO "schema_version" VALUES(2,1795864003697661);
INSERT INTO "schema_version" VALUES(3,1795864003716180);
CREATE TABLE task_run (
	id TEXT NOT NULL, 
	execution_id TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	task_id TEXT NOT NULL, 
	state TEXT NOT NULL, 
	doc TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "task_run" VALUES('WAITINGEXECUTION.1','WAITINGEXECUTION',1,'gate','PAUSED','{"h":[["CREATED","2026-01-01T00:00:00.576383+00:00"],["RUNNING","2026-01-01T00:00:00.576383+00:00"],["PAUSED","2026-01-01T00:00:00.576383+00:00"]]}');
CREATE TABLE trigger_fire (
	trigger_key TEXT NOT NULL, 
	scheduled_at BIGINT NOT NULL, 
	execution_id TEXT, 
	fired_at BIGINT NOT NULL, 
	PRIMARY KEY (trigger_key, scheduled_at)
);
CREATE TABLE trigger_memory (
	trigger_key TEXT NOT NULL, 
	doc TEXT NOT NULL, 
	PRIMARY KEY (trigger_key)
);
CREATE TABLE trigger_state (
	namespace TEXT NOT NULL, 
	flow_id TEXT NOT NULL, 
	trigger_id TEXT NOT NULL, 
	next_date BIGINT, 
	last_date BIGINT, 
	execution_id TEXT, 
	disabled BOOLEAN NOT NULL, 
	backfill TEXT, 
	definition TEXT, 
	updated BIGINT NOT NULL, 
	PRIMARY KEY (namespace, flow_id, trigger_id)
);
INSERT INTO "trigger_state" VALUES('ops','ask','chat-abc123',NULL,NULL,NULL,0,NULL,NULL,1767225600000000);
CREATE TABLE trigger_window (
	trigger_key TEXT NOT NULL, 
	window_id TEXT NOT NULL, 
	starts BIGINT NOT NULL, 
	ends BIGINT NOT NULL, 
	doc TEXT NOT NULL, 
	PRIMARY KEY (trigger_key, window_id)
);
CREATE TABLE web_link (
	digest TEXT NOT NULL, 
	account TEXT NOT NULL, 
	back TEXT NOT NULL, 
	expires BIGINT NOT NULL, 
	PRIMARY KEY (digest)
);
CREATE TABLE web_visit (
	digest TEXT NOT NULL, 
	account TEXT NOT NULL, 
	expires BIGINT NOT NULL, 
	PRIMARY KEY (digest)
);
CREATE INDEX execution_by_caller ON execution (caller_id) WHERE caller_id IS NOT NULL;
CREATE INDEX execution_by_flow ON execution (namespace, flow_id, created);
CREATE INDEX execution_by_state ON execution (state, created);
CREATE INDEX task_run_by_execution ON task_run (execution_id, position);
CREATE INDEX output_by_execution ON output (execution_id);
CREATE INDEX event_waiting ON event (execution_id) WHERE consumed = 0;
CREATE INDEX command_by_execution ON command (execution_id);
CREATE INDEX command_by_time ON command (run_at) WHERE 0;
CREATE INDEX pause_by_execution ON pause (execution_id);
CREATE INDEX pause_waiting ON pause (created) WHERE state = 'WAITING';
CREATE INDEX log_by_execution ON log (execution_id, id);
CREATE INDEX metric_by_execution ON metric (execution_id);
CREATE INDEX chat_receipt_created ON chat_receipt (created);
CREATE INDEX chat_receipt_open ON chat_receipt (state, handed);
CREATE INDEX chat_run_person ON chat_run (person, created);
CREATE INDEX chat_message_execution ON chat_message (execution_id);
CREATE UNIQUE INDEX chat_message_place ON chat_message (kind, entity, platform, place);
CREATE INDEX chat_message_due ON chat_message (platform, state, urgency, due);
CREATE INDEX chat_notice_due ON chat_notice (platform, due);
CREATE INDEX chat_draft_changed ON chat_draft (changed);
CREATE INDEX audit_entry_entity ON audit_entry (entity);
CREATE INDEX audit_entry_execution ON audit_entry (execution_id);
CREATE INDEX audit_private_owner ON audit_private (owner);
CREATE INDEX chat_rung_pause ON chat_rung (pause_id);
CREATE INDEX chat_rung_due ON chat_rung (state, due);
CREATE INDEX ix_person_link_person ON person_link (person);
CREATE INDEX ix_person_email_email ON person_email (email);
CREATE INDEX room_messages_by_channel ON room_messages (channel, id);
CREATE INDEX room_messages_by_change ON room_messages (change);
CREATE INDEX ix_web_visit_account ON web_visit (account);
COMMIT;
