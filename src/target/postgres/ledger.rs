//! The ledger: a small schema in the target, in whose rows what committed proves itself. An attempt's row is written by its
//! own transaction; whoever resolves the attempt later writes a `fenced` row under the same key. Exactly one of them wins.

/// The schema, statement by statement, as it is shown before it is made.
pub const SCHEMA: &[&str] = &[
    "create schema gonogo",
    "comment on schema gonogo is 'gonogo: proofs of what runs did to this database. Remove: gonogo ledger drop'",
    "create table gonogo.about (\
       one boolean primary key default true check (one), \
       version integer not null, \
       environment text)",
    "create table gonogo.run (\
       run text primary key, \
       journal text not null, \
       epoch bigint not null, \
       owner text not null, \
       since timestamptz not null default clock_timestamp(), \
       ended timestamptz, \
       taken_over_by text)",
    "create table gonogo.attempt (\
       run text, step text, direction text, n integer, \
       status text not null check (status in ('done', 'fenced')), \
       epoch bigint not null, \
       xid text, \
       seq bigint not null, \
       head text not null, \
       written timestamptz not null default clock_timestamp(), \
       primary key (run, step, direction, n))",
    "create table gonogo.checkpoint (\
       run text, step text, direction text, \
       batch bigint not null, \
       reached text, \
       high text, \
       rows bigint not null, \
       written timestamptz not null default clock_timestamp(), \
       primary key (run, step, direction))",
];

/// Takes it away again.
pub const DROP: &str = "drop schema gonogo cascade";
/// The version of [`SCHEMA`].
pub const VERSION: i32 = 1;
