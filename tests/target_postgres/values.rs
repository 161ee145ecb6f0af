//! Values: exactly the text that psql prints, whatever the type; hostile bytes shown, never lost.

use support::postgres::shared;

use super::*;

/// One expression per line; each is compared with `psql -At`.
const VALUES: &str = r#"
42::int2
(-2147483648)::int4
9223372036854775807::int8
1.50::numeric(10, 2)
'NaN'::numeric
'-Infinity'::numeric
0.1::float4
1e300 * 10::float8
'-infinity'::float8
true
false
null::text
'plain'
''
'tab	and ü and 漢'
'x'::char(4)
'"quoted" \ back'
'\xdeadbeef'::bytea
'2024-01-31'::date
'0044-03-15 BC'::date
'infinity'::date
'12:34:56.789'::time
'12:34:56+02'::timetz
'2024-01-31 08:00:00.5'::timestamp
'2024-01-31 08:00:00+02'::timestamptz
'4713-01-01 00:00:00 BC'::timestamp
'1 year 2 mons 3 days 04:05:06.7'::interval
'-infinity'::timestamptz
'5f0c7a52-38d6-4f29-9a1a-1f0b2b7f0a11'::uuid
'{"b": 2, "a": [1, null]}'::json
'{"b": 2, "a": [1, null]}'::jsonb
'$.a[*]'::jsonpath
'<a href="x">t</a>'::xml
'1234.56'::money
array[1, null, 3]
array[['a b', 'c,d'], ['"', '\']]
'{}'::text[]
'[2:3]={5,6}'::int[]
'192.168.0.1/24'::inet
'10.0.0.0/8'::cidr
'08:00:2b:01:02:03'::macaddr
B'10110'
B'101'::varbit
'(1,2)'::point
'((0,0),(1,1))'::box
'[1,10)'::int4range
'(,5]'::numrange
'{[1,3),[5,7)}'::int4multirange
'fat & (rat | cat)'::tsquery
'a fat cat'::tsvector
'pg_class'::regclass
'16/B374D848'::pg_lsn
'happy'::mood
(1, 'two words', null)::pair
row(1, 'x', null)
array['sad'::mood, 'happy']
5::positive
int4range(1, 5)::text
'{"(1,a,)"}'::pair[]
"#;

#[tokio::test]
async fn as_psql_prints_them() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    cluster.psql(
        &db,
        "create type mood as enum ('sad', 'happy'); create type pair as (a int, b text, c int); \
         create domain positive as int check (value > 0)",
    );
    let target = open(cluster, &db).await;
    let values: Vec<_> = VALUES.lines().filter(|line| !line.is_empty()).collect();
    assert!(values.len() > 50);
    for value in &values {
        let sql = format!("select {value}");
        let ran = run(&target, &[&sql]).await;
        assert_eq!(ran.rows().len(), 1, "{value}: {:?}", ran.outcome);
        let ours = ran.rows()[0][0].clone();
        if *value == "null::text" {
            assert_eq!(ours, None);
            continue;
        }
        assert_eq!(ours.as_deref(), Some(cluster.psql(&db, &sql).as_str()), "{value}");
    }
    // Together, too: one row of them all, with the server's own names of the types.
    let all = run(&target, &[&format!("select {}", values.join(", "))]).await;
    let types = all.columns().1;
    assert_eq!(types.len(), values.len());
    for name in ["smallint", "character", "timestamp with time zone", "int4multirange", "mood", "pair", "mood[]"] {
        assert!(types.iter().any(|known| known == name), "{name}: {types:?}");
    }
}

#[tokio::test]
async fn a_zone_that_the_script_sets_is_honoured() {
    let Some(cluster) = shared() else { return };
    let target = open(cluster, "postgres").await;
    let instant = "select '2024-01-31 08:00:00+00'::timestamptz";
    assert_eq!(run(&target, &[instant]).await.facts().value, Some("2024-01-31 08:00:00+00".into()));
    let ran = run(&target, &["set timezone = 'Europe/Berlin'", instant]).await;
    assert_eq!(ran.facts().value, Some("2024-01-31 09:00:00+01".into()));
}

#[tokio::test]
async fn bytes_that_are_no_text() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db_with("encoding 'SQL_ASCII' template template0 lc_collate 'C' lc_ctype 'C'");
    let target = open(cluster, &db).await;
    let ran = run(&target, &[r"select E'a\xff\xfez' as t", r"select E'\xff' as v"]).await;
    assert_eq!(ran.facts().value, Some("\\xff".into()));
    assert_eq!(ran.rows()[0][0].as_deref(), Some("a\\xff\\xfez"));
    assert_eq!(target.ask(r"select E'\xfe'", Duration::from_secs(20)).await, Ok("\\xfe".to_owned()));

    // In an error's text, in a notice, in a column's name: the driver cannot read them. Nothing may be claimed then
    // but that the transaction is not committed, and nothing may hang.
    cluster.psql(&db, "create table kept (id int)");
    for sql in
        [r"do $$ begin raise exception '%', E'\xff\xfe'; end $$", r"do $$ begin raise notice '%', E'\xff\xfe'; end $$"]
    {
        let ran = run(&target, &["insert into kept values (1)", sql]).await;
        assert!(ran.failed().safe.contains("COMMIT was never sent"), "{sql}: {:?}", ran.failed());
        assert_eq!(cluster.psql(&db, "select count(*) from kept"), "0");
    }
    let ran = run(&target, &["select 1"]).await;
    assert_eq!(ran.facts().value, Some(1.into()));
}

#[tokio::test]
async fn hostile_text_travels_as_it_is() {
    let Some(cluster) = shared() else { return };
    let target = open(cluster, "postgres").await;
    let ran = run(&target, &["select E'\\x1b]52;c;eA==\\x07' as \"\u{202e}x\""]).await;
    assert_eq!(ran.facts().value, Some("\u{1b}]52;c;eA==\u{7}".into()));
    assert_eq!(ran.columns().0, ["\u{202e}x"]);
}
