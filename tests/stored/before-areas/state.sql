BEGIN TRANSACTION;
CREATE TABLE catalogs (
                commit_id TEXT PRIMARY KEY, loaded TEXT NOT NULL, good INTEGER NOT NULL, problems TEXT NOT NULL,
                event TEXT NOT NULL);
CREATE TABLE checkpoints (seq BIGINT PRIMARY KEY, hash TEXT NOT NULL, made TEXT NOT NULL, signature TEXT NOT NULL);
CREATE TABLE cursors (name TEXT PRIMARY KEY, seq BIGINT NOT NULL);
CREATE TABLE event_subjects (subject TEXT NOT NULL, event TEXT NOT NULL, PRIMARY KEY (subject, event));
INSERT INTO "event_subjects" VALUES('repository:shop','evt_01m83ks43p0ecr0yewm5b0');
INSERT INTO "event_subjects" VALUES('commit:0000000000000000000000000000000000000000','evt_01m83ks43p0ecr0yewm5b0');
INSERT INTO "event_subjects" VALUES('repository:shop','evt_01m83ks43t1hzx92snghwq');
INSERT INTO "event_subjects" VALUES('commit:0000000000000000000000000000000000000001','evt_01m83ks43t1hzx92snghwq');
INSERT INTO "event_subjects" VALUES('repository:shop','evt_01m83ks43v1yfgzv9srq78');
INSERT INTO "event_subjects" VALUES('commit:0000000000000000000000000000000000000002','evt_01m83ks43v1yfgzv9srq78');
INSERT INTO "event_subjects" VALUES('repository:shop','evt_01m83ks43w18m6ybnpk2vj');
INSERT INTO "event_subjects" VALUES('commit:0000000000000000000000000000000000000003','evt_01m83ks43w18m6ybnpk2vj');
INSERT INTO "event_subjects" VALUES('repository:shop','evt_01m83ks44110bzxnkhxc7k');
INSERT INTO "event_subjects" VALUES('commit:0000000000000000000000000000000000000004','evt_01m83ks44110bzxnkhxc7k');
INSERT INTO "event_subjects" VALUES('repository:shop','evt_01m83ks4440wjzdgytyfwk');
INSERT INTO "event_subjects" VALUES('commit:0000000000000000000000000000000000000005','evt_01m83ks4440wjzdgytyfwk');
INSERT INTO "event_subjects" VALUES('repository:shop','evt_01m83ks4450cwcw28v07dj');
INSERT INTO "event_subjects" VALUES('commit:0000000000000000000000000000000000000006','evt_01m83ks4450cwcw28v07dj');
INSERT INTO "event_subjects" VALUES('repository:shop','evt_01m83ks4461mn36j817y28');
INSERT INTO "event_subjects" VALUES('commit:0000000000000000000000000000000000000007','evt_01m83ks4461mn36j817y28');
INSERT INTO "event_subjects" VALUES('repository:shop','evt_01m83ks4471aj4et24yfbt');
INSERT INTO "event_subjects" VALUES('commit:0000000000000000000000000000000000000008','evt_01m83ks4471aj4et24yfbt');
INSERT INTO "event_subjects" VALUES('repository:shop','evt_01m83ks4480fjpwxmthrnq');
INSERT INTO "event_subjects" VALUES('commit:0000000000000000000000000000000000000009','evt_01m83ks4480fjpwxmthrnq');
INSERT INTO "event_subjects" VALUES('repository:shop','evt_01m83ks44a0w0xn2dgdwkg');
INSERT INTO "event_subjects" VALUES('commit:000000000000000000000000000000000000000a','evt_01m83ks44a0w0xn2dgdwkg');
INSERT INTO "event_subjects" VALUES('repository:shop','evt_01m83ks44b06t5539mbqgp');
INSERT INTO "event_subjects" VALUES('commit:000000000000000000000000000000000000000b','evt_01m83ks44b06t5539mbqgp');
INSERT INTO "event_subjects" VALUES('repository:shop','evt_01m83ks44b06t5539mbqgq');
INSERT INTO "event_subjects" VALUES('commit:000000000000000000000000000000000000000c','evt_01m83ks44b06t5539mbqgq');
INSERT INTO "event_subjects" VALUES('repository:shop','evt_01m83ks44b06t5539mbqgr');
INSERT INTO "event_subjects" VALUES('commit:000000000000000000000000000000000000000d','evt_01m83ks44b06t5539mbqgr');
INSERT INTO "event_subjects" VALUES('repository:shop','evt_01m83ks44c0e7f2rnthyss');
INSERT INTO "event_subjects" VALUES('commit:000000000000000000000000000000000000000e','evt_01m83ks44c0e7f2rnthyss');
INSERT INTO "event_subjects" VALUES('repository:shop','evt_01m83ks44c0e7f2rnthyst');
INSERT INTO "event_subjects" VALUES('commit:000000000000000000000000000000000000000f','evt_01m83ks44c0e7f2rnthyst');
INSERT INTO "event_subjects" VALUES('repository:shop','evt_01m83ks44c0e7f2rnthysv');
INSERT INTO "event_subjects" VALUES('commit:0000000000000000000000000000000000000010','evt_01m83ks44c0e7f2rnthysv');
INSERT INTO "event_subjects" VALUES('repository:shop','evt_01m83ks44d1bt3fap44hae');
INSERT INTO "event_subjects" VALUES('commit:0000000000000000000000000000000000000011','evt_01m83ks44d1bt3fap44hae');
INSERT INTO "event_subjects" VALUES('repository:shop','evt_01m83ks44d1bt3fap44haf');
INSERT INTO "event_subjects" VALUES('commit:0000000000000000000000000000000000000012','evt_01m83ks44d1bt3fap44haf');
INSERT INTO "event_subjects" VALUES('repository:shop','evt_01m83ks44e0pe160h76xaj');
INSERT INTO "event_subjects" VALUES('commit:0000000000000000000000000000000000000013','evt_01m83ks44e0pe160h76xaj');
INSERT INTO "event_subjects" VALUES('run:run_01m83ks44h0760qp9f8t9h','evt_01m83ks44p1zaxry78mdxk');
INSERT INTO "event_subjects" VALUES('repository:shop','evt_01m83ks44p1zaxry78mdxk');
INSERT INTO "event_subjects" VALUES('workflow:.opsroom/workflows/stored.yml','evt_01m83ks44p1zaxry78mdxk');
INSERT INTO "event_subjects" VALUES('commit:cccccccccccccccccccccccccccccccccccccccc','evt_01m83ks44p1zaxry78mdxk');
CREATE TABLE events (
                id TEXT PRIMARY KEY, type TEXT NOT NULL, version INTEGER NOT NULL, time TEXT NOT NULL,
                recorded TEXT NOT NULL, actor TEXT NOT NULL, cause TEXT NOT NULL, dedup TEXT, data TEXT,
                payload_digest TEXT NOT NULL, erased TEXT);
INSERT INTO "events" VALUES('evt_01m83ks43p0ecr0yewm5b0','change.pushed',1,'2026-11-23T07:08:59.382637Z','2026-11-23T07:08:59.382637Z','person:maria','',NULL,'{"n":0}','f3013f933b9fb80ab6d995e7ad9da36f683837ba1d81e950c943d40111eac2f0',NULL);
INSERT INTO "events" VALUES('evt_01m83ks43t1hzx92snghwq','change.pushed',1,'2026-11-23T07:08:59.386487Z','2026-11-23T07:08:59.386487Z','person:maria','',NULL,'{"n":1}','2bfd14f43d17fc7cea24e0917a8879b4b2f880b8baeec1b9d90fbaad655e71bd',NULL);
INSERT INTO "events" VALUES('evt_01m83ks43v1yfgzv9srq78','change.pushed',1,'2026-11-23T07:08:59.387414Z','2026-11-23T07:08:59.387414Z','person:maria','',NULL,'{"n":2}','363379742f80b51bdb9206579af7754911543079b9399cb3fc315fb199f476e8',NULL);
INSERT INTO "events" VALUES('evt_01m83ks43w18m6ybnpk2vj','change.pushed',1,'2026-11-23T07:08:59.388019Z','2026-11-23T07:08:59.388019Z','person:maria','',NULL,'{"n":3}','215ddd5567ca2590efd4ea109b4e56cbe591e2676fbf54a9262692c539166da6',NULL);
INSERT INTO "events" VALUES('evt_01m83ks44110bzxnkhxc7k','change.pushed',1,'2026-11-23T07:08:59.393295Z','2026-11-23T07:08:59.393295Z','person:maria','',NULL,'{"n":4}','f3e0792e105e2bfe88e7b3bab5097b93a59a8c5b239fe3c6f87a8d0f72ab9032',NULL);
INSERT INTO "events" VALUES('evt_01m83ks4440wjzdgytyfwk','change.pushed',1,'2026-11-23T07:08:59.396460Z','2026-11-23T07:08:59.396460Z','person:maria','',NULL,'{"n":5}','11d0a8967009cbcdf468f09e5b09e73e7119b528c35a0e0b23f2ae052786b8fa',NULL);
INSERT INTO "events" VALUES('evt_01m83ks4450cwcw28v07dj','change.pushed',1,'2026-11-23T07:08:59.397352Z','2026-11-23T07:08:59.397352Z','person:maria','',NULL,'{"n":6}','ade0bebbcdd770e830221a9ea5ea03aa975a54ba2b90f7077c3b5e0754faf3c8',NULL);
INSERT INTO "events" VALUES('evt_01m83ks4461mn36j817y28','change.pushed',1,'2026-11-23T07:08:59.398971Z','2026-11-23T07:08:59.398971Z','person:maria','',NULL,'{"n":7}','1dd42de9287c1b6a96c617376c0df6b8304485783ed0b4803f1aac0f119471a5',NULL);
INSERT INTO "events" VALUES('evt_01m83ks4471aj4et24yfbt','change.pushed',1,'2026-11-23T07:08:59.399623Z','2026-11-23T07:08:59.399623Z','person:maria','',NULL,'{"n":8}','b300633032f2001b3ee950efc80290f4ad20b887fadc76c19af57774ad110354',NULL);
INSERT INTO "events" VALUES('evt_01m83ks4480fjpwxmthrnq','change.pushed',1,'2026-11-23T07:08:59.400075Z','2026-11-23T07:08:59.400075Z','person:maria','',NULL,'{"n":9}','6caf899d67cf6d60680d8645cc09837f8d48c4d85ba0f8a4f112428fd03c358d',NULL);
INSERT INTO "events" VALUES('evt_01m83ks44a0w0xn2dgdwkg','change.pushed',1,'2026-11-23T07:08:59.402385Z','2026-11-23T07:08:59.402385Z','person:maria','',NULL,'{"n":10}','3ff6698e101869f36e088516c6c0ca6495c40c0abdae72f6e4d124610dace7b0',NULL);
INSERT INTO "events" VALUES('evt_01m83ks44b06t5539mbqgp','change.pushed',1,'2026-11-23T07:08:59.403105Z','2026-11-23T07:08:59.403105Z','person:maria','',NULL,'{"n":11}','3f39ec9d8aa7c48412f853938efb9baf2ecaf0d8e3d99bd78044572348a46bae',NULL);
INSERT INTO "events" VALUES('evt_01m83ks44b06t5539mbqgq','change.pushed',1,'2026-11-23T07:08:59.403524Z','2026-11-23T07:08:59.403524Z','person:maria','',NULL,'{"n":12}','78e629c92dd3d2d83954a8ea8d607938a69a1c5e828a7e406abcd6ccb1fd0de0',NULL);
INSERT INTO "events" VALUES('evt_01m83ks44b06t5539mbqgr','change.pushed',1,'2026-11-23T07:08:59.403894Z','2026-11-23T07:08:59.403894Z','person:maria','',NULL,'{"n":13}','47be4ac5a4037bf89b3e7681587afbf75c3d2ea6167953e8700d73adeaed5a3f',NULL);
INSERT INTO "events" VALUES('evt_01m83ks44c0e7f2rnthyss','change.pushed',1,'2026-11-23T07:08:59.404271Z','2026-11-23T07:08:59.404271Z','person:maria','',NULL,'{"n":14}','0848856ab12e0dd05c50fb325547a53ca7a79e61c153934d0c8807e100b83d12',NULL);
INSERT INTO "events" VALUES('evt_01m83ks44c0e7f2rnthyst','change.pushed',1,'2026-11-23T07:08:59.404613Z','2026-11-23T07:08:59.404613Z','person:maria','',NULL,'{"n":15}','7f23ddb56d242763555a08300e65d8b13ea634b994cf503609da75aa859f101f',NULL);
INSERT INTO "events" VALUES('evt_01m83ks44c0e7f2rnthysv','change.pushed',1,'2026-11-23T07:08:59.404935Z','2026-11-23T07:08:59.404935Z','person:maria','',NULL,'{"n":16}','994c2b575f16793e25af2c164ec7d71aa9c663ee5d13c718f20dc05032081128',NULL);
INSERT INTO "events" VALUES('evt_01m83ks44d1bt3fap44hae','change.pushed',1,'2026-11-23T07:08:59.405261Z','2026-11-23T07:08:59.405261Z','person:maria','',NULL,'{"n":17}','6d9d8fc2b9eb6e8327d0b3dae4e3ff71f4fca30d923be1dde6dbb1ff7afc79e8',NULL);
INSERT INTO "events" VALUES('evt_01m83ks44d1bt3fap44haf','change.pushed',1,'2026-11-23T07:08:59.405584Z','2026-11-23T07:08:59.405584Z','person:maria','',NULL,'{"n":18}','b8c4031c194fb78e1427fb16ad04308ec8a10e1b65c9099212634b5259ad056a',NULL);
INSERT INTO "events" VALUES('evt_01m83ks44e0pe160h76xaj','change.pushed',1,'2026-11-23T07:08:59.406010Z','2026-11-23T07:08:59.406010Z','person:maria','',NULL,NULL,'9cf9e32b204250467ff82677b10fb558832ee497397e768a0912440ee010a412','personal data');
INSERT INTO "events" VALUES('evt_01m83ks44f1mesh0bxsfp0','event.erased',1,'2026-11-23T07:08:59.407915Z','2026-11-23T07:08:59.407915Z','person:admin','evt_01m83ks44e0pe160h76xaj',NULL,'{"event":"evt_01m83ks44e0pe160h76xaj","reason":"personal data"}','f995c3a063519121c9b64a2f7c67997494319c7ee264d8896555b384bd348626',NULL);
INSERT INTO "events" VALUES('evt_01m83ks44p1zaxry78mdxk','run.queued',1,'2026-11-23T07:08:59.414397Z','2026-11-23T07:08:59.414397Z','person:maria','','run.queued/run_01m83ks44h0760qp9f8t9h/1/','{"attempt":1,"event":"workflow_dispatch","number":1,"workflow_name":"stored"}','07f6fede0d1a3a3008d5db8f4d1259fb38ed95257ccdc168ee62d03e838e6a78',NULL);
CREATE TABLE grants (
                id TEXT PRIMARY KEY, holder TEXT NOT NULL, role TEXT NOT NULL, team TEXT NOT NULL,
                environment TEXT NOT NULL, granted_by TEXT NOT NULL, granted_at TEXT NOT NULL, expires TEXT,
                ended TEXT);
CREATE TABLE leases (name TEXT PRIMARY KEY, holder TEXT NOT NULL, expires TEXT NOT NULL);
CREATE TABLE memberships (person TEXT NOT NULL, team TEXT NOT NULL, PRIMARY KEY (person, team));
CREATE TABLE migrations (name TEXT PRIMARY KEY, digest TEXT NOT NULL, position BIGINT NOT NULL);
INSERT INTO "migrations" VALUES('kernel-0001','d21413ba56d9275f2ac9670d196e3605e856b78c77ee412f89f4485483829f31',0);
INSERT INTO "migrations" VALUES('actors-0001','a75694e84be8c2faec69c7dfb72e2cf6b163e1e3a9b80b3def1e9db4a8c05013',1);
INSERT INTO "migrations" VALUES('secrets-0001','2fba1b791853fb60b06069f980d7daa3e3899290dc5fa5b8d0276a58a6ce96a6',2);
INSERT INTO "migrations" VALUES('waivers-0001','57d5fd274abdde97dfa205ff4837763fff04df192aa9f280bfbc160bf3a16a9e',3);
INSERT INTO "migrations" VALUES('workflows-0001','8a3486586a2193dcc282083e2b3b1a581248f3aeb7d89ee5d1837a20967432b2',4);
CREATE TABLE people (
                id TEXT PRIMARY KEY, issuer TEXT NOT NULL, subject TEXT NOT NULL, name TEXT NOT NULL,
                email TEXT NOT NULL, added TEXT NOT NULL, left_at TEXT);
CREATE TABLE queue (
                id TEXT PRIMARY KEY, kind TEXT NOT NULL, dedup TEXT, payload TEXT NOT NULL, due TEXT NOT NULL,
                state TEXT NOT NULL, holder TEXT NOT NULL, lease TEXT NOT NULL, attempts INTEGER NOT NULL,
                error TEXT NOT NULL, cause TEXT NOT NULL);
INSERT INTO "queue" VALUES('job_01m83ks44q017dhnvzx46d','engine.start',NULL,'{"attempt":1,"job":"first","launch":1,"run":"run_01m83ks44h0760qp9f8t9h"}','2026-11-23T07:08:59.415026Z','ready','','2026-11-23T07:08:59.415026Z',0,'','evt_01m83ks44p1zaxry78mdxk');
CREATE TABLE run_annotations (
                id INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL, job TEXT NOT NULL, attempt INTEGER NOT NULL, step INTEGER NOT NULL,
                level TEXT NOT NULL, message TEXT NOT NULL, place TEXT NOT NULL, title TEXT NOT NULL);
CREATE TABLE run_artifacts (
                run TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, size BIGINT NOT NULL, files BIGINT NOT NULL,
                job TEXT NOT NULL, attempt INTEGER NOT NULL, created TEXT NOT NULL, PRIMARY KEY (run, name));
CREATE TABLE run_groups (
                name TEXT PRIMARY KEY, holder TEXT NOT NULL, pending TEXT NOT NULL);
CREATE TABLE run_jobs (
                run TEXT NOT NULL, job TEXT NOT NULL, attempt INTEGER NOT NULL, node TEXT NOT NULL, name TEXT NOT NULL,
                position INTEGER NOT NULL, status TEXT NOT NULL, waiting TEXT NOT NULL, conclusion TEXT NOT NULL,
                error TEXT NOT NULL, launches INTEGER NOT NULL, started TEXT, finished TEXT,
                cpu_seconds DOUBLE PRECISION NOT NULL, PRIMARY KEY (run, job, attempt));
INSERT INTO "run_jobs" VALUES('run_01m83ks44h0760qp9f8t9h','first',1,'first','first',0,'queued','a free slot','','',1,NULL,NULL,0.0);
CREATE TABLE run_steps (
                run TEXT NOT NULL, job TEXT NOT NULL, attempt INTEGER NOT NULL, position INTEGER NOT NULL, id TEXT NOT NULL,
                name TEXT NOT NULL, status TEXT NOT NULL, outcome TEXT NOT NULL, conclusion TEXT NOT NULL,
                cuts INTEGER NOT NULL, exit_code INTEGER, error TEXT NOT NULL, started TEXT, finished TEXT,
                cpu_seconds DOUBLE PRECISION NOT NULL, PRIMARY KEY (run, job, attempt, position));
CREATE TABLE run_summaries (
                id INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL, job TEXT NOT NULL, attempt INTEGER NOT NULL, step INTEGER NOT NULL,
                markdown TEXT NOT NULL);
CREATE TABLE runs (
                id TEXT PRIMARY KEY, number BIGINT NOT NULL, repository TEXT NOT NULL, workflow TEXT NOT NULL,
                name TEXT NOT NULL, title TEXT NOT NULL, commit_id TEXT NOT NULL, ref TEXT NOT NULL, event TEXT NOT NULL,
                trigger_event TEXT NOT NULL, queued_event TEXT NOT NULL, actor TEXT NOT NULL, service TEXT NOT NULL,
                status TEXT NOT NULL, waiting TEXT NOT NULL, conclusion TEXT NOT NULL, attempt INTEGER NOT NULL,
                state TEXT NOT NULL, revision BIGINT NOT NULL, context TEXT NOT NULL, source TEXT NOT NULL,
                created TEXT NOT NULL, started TEXT, finished TEXT, cpu_seconds DOUBLE PRECISION NOT NULL,
                price_version TEXT NOT NULL);
INSERT INTO "runs" VALUES('run_01m83ks44h0760qp9f8t9h',1,'shop','.opsroom/workflows/stored.yml','stored','stored','cccccccccccccccccccccccccccccccccccccccc','refs/heads/main','workflow_dispatch','','evt_01m83ks44p1zaxry78mdxk','person:maria','','running','','',1,'{"id":"run_01m83ks44h0760qp9f8t9h","nodes":[{"id":"first","jobs":[{"key":"first","launch":1,"name":"first","node":"first","status":"queued","step_names":["Run echo begun by an earlier release"],"timeout_minutes":60.0,"waiting":"a free slot"}],"name":"first","status":"decided"},{"id":"second","name":"second","needs":["first"]}],"status":"running","version":1}',2,'{"git":"","network":[],"server_url":"http://127.0.0.1:8600","trigger":{"actor":"person:maria","base_ref":"","before":"","cause":"","changed_paths":null,"commit":"cccccccccccccccccccccccccccccccccccccccc","default_branch":"main","head_ref":"","inputs":{},"name":"workflow_dispatch","payload":{},"ref":"refs/heads/main","repository":"shop","type":""},"variables":{}}','
name: stored
on: workflow_dispatch
jobs:
  first:
    runs-on: ubuntu-latest
    steps:
      - run: echo begun by an earlier release
  second:
    needs: first
    runs-on: ubuntu-latest
    steps:
      - run: echo finished by this one
','2026-11-23T07:08:59.410684Z',NULL,NULL,0.0,'');
CREATE TABLE schedules (
                repository TEXT NOT NULL, workflow TEXT NOT NULL, cron TEXT NOT NULL, seen TEXT NOT NULL,
                PRIMARY KEY (repository, workflow, cron));
CREATE TABLE seals (seq BIGINT PRIMARY KEY, event TEXT NOT NULL UNIQUE, hash TEXT NOT NULL);
INSERT INTO "seals" VALUES(1,'evt_01m83ks43p0ecr0yewm5b0','b9403aadd84f29de18daee89408d2ac7dd3394e050811654cf3ec0a87704b152');
INSERT INTO "seals" VALUES(2,'evt_01m83ks43t1hzx92snghwq','9c5d2906f8d38eb70befa66f642ddd7a1c852ae89678a25db3e5a380f9e42fae');
INSERT INTO "seals" VALUES(3,'evt_01m83ks43v1yfgzv9srq78','dc5fa68e00d099e5919efb866a71ca5a291d2e972177300a0d66bf4abf61d0a9');
INSERT INTO "seals" VALUES(4,'evt_01m83ks43w18m6ybnpk2vj','5a151b7644a3a3140a4214de73648082fa5b9aa4c11580fc32989c86f488d17a');
INSERT INTO "seals" VALUES(5,'evt_01m83ks44110bzxnkhxc7k','a31004993b28589d4532825c64880dec35f948da2f66ad1e4df1c4a567f80f03');
INSERT INTO "seals" VALUES(6,'evt_01m83ks4440wjzdgytyfwk','ed3a1c636de6e10eff5e31d767f9b7b823540a93022a50bb72d01467d39357de');
INSERT INTO "seals" VALUES(7,'evt_01m83ks4450cwcw28v07dj','dd861ad3b40301a6bbb515726469f5eaacf69b296d1b5d69238d8e0510109d67');
INSERT INTO "seals" VALUES(8,'evt_01m83ks4461mn36j817y28','11a1c55e7efe9875a24a93fa05d770dea19ed9a245bdba2bbd45d657ab5193f6');
INSERT INTO "seals" VALUES(9,'evt_01m83ks4471aj4et24yfbt','ca0fd82edb108b7d95baca228524a72746b4edca26bdf32e71f7fccc8bdce77b');
INSERT INTO "seals" VALUES(10,'evt_01m83ks4480fjpwxmthrnq','63703e66fa81d3f493078032d60125d8169b2bbe54791a6db1100406ebff8a79');
INSERT INTO "seals" VALUES(11,'evt_01m83ks44a0w0xn2dgdwkg','b89155c38ca08f09183c6e64f29fb068ad9f87d15e9c66e82a187425858217b3');
INSERT INTO "seals" VALUES(12,'evt_01m83ks44b06t5539mbqgp','481f6096f466644d1ff13a53d8901eca734e14ca134d1c83897fce0fb5b47a45');
INSERT INTO "seals" VALUES(13,'evt_01m83ks44b06t5539mbqgq','c0cbb72cfbbf3fa4db69a509f4351ae689183a3f6b8c16e4fd823b21c8b36bc1');
INSERT INTO "seals" VALUES(14,'evt_01m83ks44b06t5539mbqgr','7756f54a14f4e7e2f041ef929452384885e20d5d85577c3c089ccf8497f80e3e');
INSERT INTO "seals" VALUES(15,'evt_01m83ks44c0e7f2rnthyss','71044897216d3f01ff10aaa60f4fa294dc1621366f2565f713281ee433e71cef');
INSERT INTO "seals" VALUES(16,'evt_01m83ks44c0e7f2rnthyst','0b102a5308101483fce76f953e9d859d46249016c45d641b06360edc6513a08b');
INSERT INTO "seals" VALUES(17,'evt_01m83ks44c0e7f2rnthysv','8edc6401b575a754cf2a2e74593a44847b6a1cf7593bde3537b8eb81d8949db0');
INSERT INTO "seals" VALUES(18,'evt_01m83ks44d1bt3fap44hae','de57c6212e52a58b30a071b17d6fa7c3e1a12e1e7eb982f83b730b824c6fdc37');
INSERT INTO "seals" VALUES(19,'evt_01m83ks44d1bt3fap44haf','9704fffb4f7629add14a340765450a125090a247ad9b64b10ad06199c75a5d66');
INSERT INTO "seals" VALUES(20,'evt_01m83ks44e0pe160h76xaj','7ff80433d665997f6a69ad4860f75e31c1350695c2a3235f4b9beaa8a1e683b6');
INSERT INTO "seals" VALUES(21,'evt_01m83ks44f1mesh0bxsfp0','1131f7dbdbfcdeff7dff9b6063c826b0e856542dd7ae62904233bb0d91421b9a');
INSERT INTO "seals" VALUES(22,'evt_01m83ks44p1zaxry78mdxk','55205ee19d4ad6a85c7f9c36c56a6c30b677aa7a6f54b68ebc0bdee07facc29f');
CREATE TABLE secrets (
                name TEXT PRIMARY KEY, ciphertext TEXT NOT NULL, set_at TEXT NOT NULL, set_by TEXT NOT NULL,
                read_at TEXT);
CREATE TABLE sessions (
                hash TEXT PRIMARY KEY, person TEXT NOT NULL, started TEXT NOT NULL, expires TEXT NOT NULL,
                ended TEXT);
CREATE TABLE sign_in_links (
                hash TEXT PRIMARY KEY, person TEXT NOT NULL, made TEXT NOT NULL, expires TEXT NOT NULL, used TEXT);
CREATE TABLE tokens (
                id TEXT PRIMARY KEY, hash TEXT NOT NULL, person TEXT NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL,
                team TEXT NOT NULL, environment TEXT NOT NULL, created TEXT NOT NULL, created_by TEXT NOT NULL,
                expires TEXT, last_used TEXT, revoked TEXT);
CREATE TABLE unsealed (event TEXT PRIMARY KEY);
CREATE TABLE waivers (
                id TEXT PRIMARY KEY, kind TEXT NOT NULL, matchers TEXT NOT NULL, owner TEXT NOT NULL,
                reason TEXT NOT NULL, starts TEXT NOT NULL, expires TEXT NOT NULL, granted_at TEXT NOT NULL,
                granted_by TEXT NOT NULL, ended TEXT, event TEXT NOT NULL);
CREATE TABLE watched_refs (
                repository TEXT NOT NULL, ref TEXT NOT NULL, commit_id TEXT NOT NULL, PRIMARY KEY (repository, ref));
CREATE UNIQUE INDEX events_dedup ON events (dedup);
CREATE INDEX events_type ON events (type, id);
CREATE INDEX events_cause ON events (cause);
CREATE INDEX events_time ON events (time);
CREATE INDEX event_subjects_event ON event_subjects (event);
CREATE UNIQUE INDEX queue_dedup ON queue (dedup);
CREATE INDEX queue_due ON queue (state, kind, due);
CREATE UNIQUE INDEX people_identity ON people (issuer, subject);
CREATE INDEX grants_holder ON grants (holder);
CREATE UNIQUE INDEX tokens_hash ON tokens (hash);
CREATE INDEX waivers_open ON waivers (ended, kind);
CREATE UNIQUE INDEX runs_number ON runs (repository, workflow, number);
CREATE INDEX runs_workflow ON runs (repository, workflow, id);
CREATE INDEX runs_status ON runs (status, id);
CREATE INDEX runs_service ON runs (service, id);
CREATE INDEX runs_commit ON runs (commit_id, id);
CREATE INDEX runs_trigger ON runs (trigger_event);
CREATE INDEX runs_finished ON runs (finished);
CREATE INDEX run_jobs_status ON run_jobs (status);
CREATE INDEX run_annotations_run ON run_annotations (run, id);
CREATE INDEX run_summaries_run ON run_summaries (run, id);
CREATE INDEX run_artifacts_digest ON run_artifacts (digest);
DELETE FROM "sqlite_sequence";
COMMIT;
