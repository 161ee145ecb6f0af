//! The small values of the language as an editor checks them: ids, durations, secrets, expressions.

use schemars::JsonSchema;

/// An id: at most 64 of a-z, 0-9, `_` and `-`, no sign first.
#[derive(JsonSchema)]
#[schemars(extend("pattern" = "^[a-z0-9][a-z0-9_-]{0,63}$"), extend("examples" = ["count-tables"]))]
pub struct Id(pub String);

/// A name in expressions: letters, digits and `_`, no digit first.
#[derive(JsonSchema)]
#[schemars(extend("pattern" = "^[A-Za-z_][A-Za-z0-9_]{0,63}$"), extend("examples" = ["error_rate"]))]
pub struct Name(pub String);

/// A length of time: `90s`, `30m`, `4h`, `1h 30m`; a leading `+` is allowed. May be a template over variables.
#[derive(JsonSchema)]
#[schemars(
    extend("pattern" = "\\{\\{|^\\s*\\+?\\s*(0|([0-9]+\\s*(nanos|nsec|ns|usec|us|µs|millis|msec|ms|seconds|second|secs|sec|s|minutes|minute|mins|min|m|hours|hour|hrs|hr|h|days|day|d|weeks|week|wks|wk|w|months|month|M|years|year|yrs|yr|y)\\s*)+)\\s*$"),
    extend("examples" = ["90s", "30m", "4h", "1h 30m", "+2h"])
)]
pub struct Length(pub String);

/// A Jinja expression: `value == 43`, `error_rate > 2`. It sees facts that are there already, and does nothing.
#[derive(JsonSchema)]
#[schemars(extend("pattern" = "\\S"), extend("examples" = ["value == 43", "rows > 0", "exit == 0", "error_rate > 2"]))]
pub struct Expression(pub String);

/// A text that is not empty. `{{ name }}` is replaced by the value of a variable.
#[derive(JsonSchema)]
#[schemars(extend("pattern" = "\\S"))]
pub struct Text(pub String);

/// A regular expression.
#[derive(JsonSchema)]
#[schemars(extend("format" = "regex"), extend("pattern" = "\\S"))]
pub struct Pattern(pub String);

/// The address of a database: a secret that is named (`env:NAME`, `file:PATH`, `cmd:COMMAND`), or an address that holds no
/// password: `postgres://deploy@db1/app`, `sqlite:demo.db`.
#[derive(JsonSchema)]
#[schemars(
    extend("pattern" = "^(env:\\s*[A-Za-z_][A-Za-z0-9_]*\\s*$|file:.*\\S|cmd:.*\\S|postgres(ql)?://|sqlite:|\\{\\{)"),
    extend("examples" = ["env:STAGING_DATABASE_URL", "file:/run/secrets/url", "cmd:pass show db/url", "sqlite:demo.db"])
)]
pub struct DatabaseAddress(pub String);

/// An address of the web, or a secret that holds one (`env:NAME`, `file:PATH`, `cmd:COMMAND`).
#[derive(JsonSchema)]
#[schemars(
    extend("pattern" = "^(env:\\s*[A-Za-z_][A-Za-z0-9_]*\\s*$|file:.*\\S|cmd:.*\\S|https?://|\\{\\{)"),
    extend("examples" = ["https://app.example.org/health", "env:PROMETHEUS_URL"])
)]
pub struct WebAddress(pub String);

/// An address of the web: `https://…`, or one that starts with a variable.
#[derive(JsonSchema)]
#[schemars(extend("pattern" = "^(https?://|\\{\\{)"), extend("examples" = ["https://app.example.org/health"]))]
pub struct PlainWebAddress(pub String);

/// A text, or a secret by its name: `env:NAME`, `file:PATH`, `cmd:COMMAND`. A header that carries a secret must name it.
#[derive(JsonSchema)]
#[schemars(extend("pattern" = "\\S"), extend("examples" = ["env:API_TOKEN", "application/json"]))]
pub struct HeaderValue(pub String);

/// A program and its arguments, one text each: never a shell.
#[derive(JsonSchema)]
#[schemars(extend("minItems" = 1), extend("examples" = [["pg_dump", "-Fc", "-f", "{{ backup }}"]]))]
pub struct Argv(pub Vec<String>);

/// SQL. Values of `{{ … }}` become literals, or with `| ident` a quoted name.
#[derive(JsonSchema)]
#[schemars(extend("pattern" = "\\S"), extend("examples" = ["select count(*) from orders"]))]
pub struct Sql(pub String);

/// A file inside the runbook's folder, without templates: `sql/011.sql`.
#[derive(JsonSchema)]
#[schemars(extend("pattern" = "^[^/]"), extend("not" = {"pattern": "\\{\\{|(^|/)\\.\\.(/|$)"}), extend("examples" = ["sql/011.sql"]))]
pub struct InnerFile(pub String);
