//! The SQL around an archive: what makes room for it, and what counts the rows afterwards. Constant but for numbers: every
//! name in it is quoted by the server.

/// Words with which the script tells how far it is.
pub const SESSION: &str = "gonogo-session ";
pub const LOCKED: &str = "gonogo-locked";
pub const ROWS: &str = "gonogo-rows ";
pub const READY: &str = "gonogo-ready ";

/// Schemas of users: not the server's own, and not the one of the run's ledger.
macro_rules! user_schemas {
    () => {
        "n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'gonogo')"
    };
}

/// Tables that an archive holds rows of.
macro_rules! tables {
    () => {
        concat!(
            "from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where ",
            user_schemas!(),
            " and not exists (select from pg_catalog.pg_depend e where e.classid = 'pg_catalog.pg_class'::regclass \
               and e.objid = c.oid and e.deptype = 'e')"
        )
    };
}

/// Begins the transaction and takes every table: nobody reads what is about to go, and from here on nobody is waited for.
pub fn opening(lock_timeout_ms: u64) -> String {
    format!(
        "begin;\nset local statement_timeout = 0;\nset local idle_in_transaction_session_timeout = 0;\n\
         set local lock_timeout = {lock_timeout_ms};\n\
         select '{SESSION}' || pg_catalog.pg_backend_pid();\n{OURS}{LOCKS}select '{LOCKED}';\n"
    )
}

/// Ends with the transaction: an archive that commits by itself is found out.
const OURS: &str = "set local gonogo.restore = 'ours';\n";

const LOCKS: &str = concat!(
    "do $gonogo$ declare t text; begin for t in select pg_catalog.format('%I.%I', n.nspname, c.relname) ",
    tables!(),
    " and c.relkind in ('r', 'p') order by 1 loop \
     execute 'lock table ' || t || ' in access exclusive mode'; end loop; end $gonogo$;\n"
);

/// Drops what is there: every schema but `public`, those an extension lives in and the ledger's; in these, every object
/// that belongs to no extension; and what lies in no schema.
pub const DROPS: &str = concat!(
    "set local client_min_messages = warning;\n",
    "do $gonogo$ declare s text; begin for s in select n.nspname from pg_catalog.pg_namespace n where ",
    user_schemas!(),
    " and n.nspname <> 'public' \
      and not exists (select from pg_catalog.pg_extension x where x.extnamespace = n.oid) \
      and not exists (select from pg_catalog.pg_depend e where e.classid = 'pg_catalog.pg_namespace'::regclass \
        and e.objid = n.oid and e.deptype = 'e') loop \
      execute pg_catalog.format('drop schema %I cascade', s); end loop; end $gonogo$;\n",
    "do $gonogo$ declare all_of_it text[]; one text; begin \
     select pg_catalog.array_agg(pg_catalog.format('drop %s if exists %s cascade', case i.type \
         when 'statistics object' then 'statistics' when 'composite type' then 'type' when 'function' then 'routine' \
         when 'procedure' then 'routine' when 'aggregate' then 'routine' else i.type end, i.identity) \
         order by case i.type when 'view' then 0 when 'materialized view' then 0 when 'table' then 1 else 2 end) \
       into all_of_it from pg_catalog.pg_namespace n \
       join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_namespace'::regclass and d.refobjid = n.oid \
         and d.deptype = 'n' and d.objsubid = 0 \
       cross join lateral pg_catalog.pg_identify_object(d.classid, d.objid, 0) i where ",
    user_schemas!(),
    " and not exists (select from pg_catalog.pg_depend e where e.classid = d.classid and e.objid = d.objid \
         and e.deptype = 'e') \
       and i.type <> 'default acl'; \
     foreach one in array coalesce(all_of_it, '{}') loop execute one; end loop; end $gonogo$;\n",
    "do $gonogo$ declare all_of_it text[]; one text; begin \
     select pg_catalog.array_agg(pg_catalog.format('drop %s if exists %s cascade', i.type, i.identity)) into all_of_it from ( \
         select 'pg_catalog.pg_publication'::regclass::oid as classid, oid from pg_catalog.pg_publication union all \
         select 'pg_catalog.pg_event_trigger'::regclass, oid from pg_catalog.pg_event_trigger union all \
         select 'pg_catalog.pg_foreign_server'::regclass, oid from pg_catalog.pg_foreign_server union all \
         select 'pg_catalog.pg_foreign_data_wrapper'::regclass, oid from pg_catalog.pg_foreign_data_wrapper union all \
         select 'pg_catalog.pg_cast'::regclass, oid from pg_catalog.pg_cast where oid >= 16384) o \
       cross join lateral pg_catalog.pg_identify_object(o.classid, o.oid, 0) i \
       where not exists (select from pg_catalog.pg_depend e where e.classid = o.classid and e.objid = o.oid \
         and e.deptype = 'e'); \
     foreach one in array coalesce(all_of_it, '{}') loop execute one; end loop; end $gonogo$;\n\
     do $gonogo$ begin perform pg_catalog.lo_unlink(oid) from pg_catalog.pg_largeobject_metadata; end $gonogo$;\n"
);

/// Counts every table, and says the number of the transaction. What is not read here is not committed.
pub const CLOSING: &str = concat!(
    "\ndo $gonogo$ begin if pg_catalog.current_setting('gonogo.restore', true) is distinct from 'ours' then \
       raise exception 'the archive ended the transaction by itself: part of it is committed' \
         using hint = 'look at the database before anything else; restore it by hand'; end if; end $gonogo$;\n",
    "select pg_catalog.format('select %L || count(*) || '' '' || %L from only %I.%I', 'gonogo-rows ', \
       pg_catalog.format('%I.%I', n.nspname, c.relname), n.nspname, c.relname) ",
    tables!(),
    " and c.relkind = 'r' and c.relpersistence in ('p', 'u') order by 1\n\\gexec\n\
     select 'gonogo-ready ' || pg_catalog.pg_current_xact_id();\n"
);

/// True where the list of an archive names large objects.
pub fn lists_large_objects(list: &str) -> bool {
    let is_blob = |line: &str| {
        let entry = line.splitn(4, ' ').nth(3).unwrap_or_default();
        ["BLOB ", "BLOBS ", "BLOB METADATA "].iter().any(|kind| format!("{entry} ").starts_with(kind))
    };
    list.lines().any(|line| !line.starts_with(';') && is_blob(line))
}

/// The lines of an archive's list that are not restored: schemas that stay.
pub fn without_schemas(list: &str, kept: &[String]) -> String {
    let stays = |line: &str| {
        let entry = line.splitn(4, ' ').nth(3).unwrap_or_default();
        kept.iter().any(|schema| entry.starts_with(&format!("SCHEMA - {schema} ")))
    };
    list.lines().filter(|line| line.starts_with(';') || !stays(line)).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_objects_are_found_in_a_list() {
        let none = "; BLOB x\n5; 1259 16385 TABLE public BLOB postgres\n6; 0 16385 TABLE DATA public BLOBS postgres\n";
        assert!(!lists_large_objects(none));
        for entry in
            ["7; 2613 16400 BLOB - 16400 postgres\n", "8; 0 0 BLOBS - BLOBS \n", "9; 2613 1 BLOB METADATA - 1 p\n"]
        {
            assert!(lists_large_objects(&format!("{none}{entry}")), "{entry}");
        }
    }

    #[test]
    fn schemas_that_stay_are_left_out_of_the_list() {
        let list = "; comment SCHEMA - a x\n5; 2615 16385 SCHEMA - a postgres\n6; 2615 1 SCHEMA - ab postgres\n";
        assert_eq!(
            without_schemas(list, &["a".to_owned()]),
            "; comment SCHEMA - a x\n6; 2615 1 SCHEMA - ab postgres\n"
        );
    }
}
