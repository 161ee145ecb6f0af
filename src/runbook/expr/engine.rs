//! Running an expression or a template: the environment with its few filters, the strict operators, the bounds.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use minijinja::machinery::{CodeGenerator, eval, make_string_output};
use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value, filters, tests};

use super::escape::{self, Ident, Place, Url};
use super::plan;
use super::syntax::{BOOLEAN, COMPARE, Parsed, SCANS, TIMES, Tree, USES_INDEX, WHOLE_URL};

/// Instructions of one evaluation.
const FUEL: u64 = 200_000;
/// Bytes that the expressions of one template may write.
const WRITTEN: usize = 4 * 1024 * 1024;
/// Bytes of a regular expression once compiled.
const PATTERN: usize = 1 << 20;

pub(super) const FILTERS: &[&str] = &[
    "abs",
    "default",
    "first",
    "float",
    "ident",
    "int",
    "items",
    "join",
    "json",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "replace",
    "round",
    "select",
    "selectattr",
    "sort",
    "split",
    "string",
    "sum",
    "trim",
    "unique",
    "upper",
];

pub(super) const TESTS: &[&str] = &[
    "boolean",
    "containing",
    "defined",
    "divisibleby",
    "endingwith",
    "eq",
    "even",
    "false",
    "integer",
    "mapping",
    "matching",
    "none",
    "number",
    "odd",
    "sequence",
    "startingwith",
    "string",
    "true",
    "undefined",
];

/// The value of an expression.
pub(super) fn value(parsed: &Parsed<'_>, source: &str, root: Value) -> Result<Value, Error> {
    let Tree::Expression(expr) = &parsed.tree else {
        return Err(Error::new(ErrorKind::InvalidOperation, "a template is not an expression"));
    };
    let env = environment(Place::Text);
    let mut generator = CodeGenerator::new("expression", source);
    generator.compile_expr(expr);
    let (instructions, _) = generator.finish();
    let blocks = BTreeMap::new();
    let mut nothing = String::new();
    let mut out = make_string_output(&mut nothing);
    let (value, _) = eval(&env, &instructions, root, &blocks, &mut out, AutoEscape::None)?;
    value.ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "the expression has no value"))
}

/// The text of a template, its values escaped for `place`.
pub(super) fn text(parsed: &Parsed<'_>, source: &str, root: Value, place: Place) -> Result<String, Error> {
    let Tree::Template(stmt) = &parsed.tree else {
        return Err(Error::new(ErrorKind::InvalidOperation, "an expression is not a template"));
    };
    let env = environment(place);
    let mut generator = CodeGenerator::new("template", source);
    generator.compile_stmt(stmt);
    let (instructions, blocks) = generator.finish();
    let mut text = String::new();
    let mut out = make_string_output(&mut text);
    eval(&env, &instructions, root, &blocks, &mut out, AutoEscape::None)?;
    drop(out);
    Ok(text)
}

fn environment(place: Place) -> Environment<'static> {
    let mut env = Environment::empty();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_fuel(Some(FUEL));
    let written = AtomicUsize::new(0);
    env.set_formatter(move |out, _, value| {
        let text = escape::escape(value, place).map_err(invalid)?;
        if written.fetch_add(text.len(), Ordering::Relaxed) + text.len() > WRITTEN {
            return Err(invalid("the text grows beyond 4 MiB"));
        }
        out.write_str(&text).map_err(Error::from)
    });
    env.add_function(COMPARE, compare);
    env.add_function(BOOLEAN, boolean);
    env.add_function(TIMES, times);
    env.add_function(WHOLE_URL, |value: &str| Value::from_object(Url(value.to_owned())));
    env.add_function(USES_INDEX.1, |plan: Vec<String>, name: &str| plan::uses_index(&plan, name));
    env.add_function(SCANS.1, |plan: Vec<String>, name: &str| plan::scans(&plan, name));
    add_filters(&mut env);
    add_tests(&mut env);
    env
}

fn add_filters(env: &mut Environment<'static>) {
    env.add_filter("abs", filters::abs);
    env.add_filter("default", filters::default);
    env.add_filter("first", filters::first);
    env.add_filter("float", filters::float);
    env.add_filter("ident", |name: &str| Value::from_object(Ident(name.to_owned())));
    env.add_filter("int", filters::int);
    env.add_filter("items", filters::items);
    env.add_filter("join", filters::join);
    env.add_filter("json", |value: Value| escape::json(&value).map_err(invalid));
    env.add_filter("last", filters::last);
    env.add_filter("length", filters::length);
    env.add_filter("lines", filters::lines);
    env.add_filter("list", filters::list);
    env.add_filter("lower", filters::lower);
    env.add_filter("map", filters::map);
    env.add_filter("max", filters::max);
    env.add_filter("min", filters::min);
    env.add_filter("reject", filters::reject);
    env.add_filter("rejectattr", filters::rejectattr);
    env.add_filter("replace", filters::replace);
    env.add_filter("round", filters::round);
    env.add_filter("select", filters::select);
    env.add_filter("selectattr", filters::selectattr);
    env.add_filter("sort", filters::sort);
    env.add_filter("split", filters::split);
    env.add_filter("string", filters::string);
    env.add_filter("sum", filters::sum);
    env.add_filter("trim", filters::trim);
    env.add_filter("unique", filters::unique);
    env.add_filter("upper", filters::upper);
}

fn add_tests(env: &mut Environment<'static>) {
    env.add_test("boolean", tests::is_boolean);
    env.add_test("containing", |text: &str, part: &str| text.contains(part));
    env.add_test("defined", tests::is_defined);
    env.add_test("divisibleby", tests::is_divisibleby);
    env.add_test("eq", tests::is_eq);
    env.add_test("endingwith", |text: &str, part: &str| text.ends_with(part));
    env.add_test("even", tests::is_even);
    env.add_test("false", tests::is_false);
    env.add_test("integer", tests::is_integer);
    env.add_test("mapping", tests::is_mapping);
    env.add_test("matching", matching);
    env.add_test("none", tests::is_none);
    env.add_test("number", tests::is_number);
    env.add_test("odd", tests::is_odd);
    env.add_test("sequence", tests::is_sequence);
    env.add_test("startingwith", |text: &str, part: &str| text.starts_with(part));
    env.add_test("string", tests::is_string);
    env.add_test("true", tests::is_true);
    env.add_test("undefined", tests::is_undefined);
}

pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

fn matching(text: &str, pattern: &str) -> Result<bool, Error> {
    let regex = regex::RegexBuilder::new(pattern).size_limit(PATTERN).build();
    let regex = regex.map_err(|_| invalid(format!("`{pattern}` is not a regular expression")))?;
    Ok(regex.is_match(text))
}

/// What a value is, in plain words, with the value itself where it is short.
pub(super) fn describe(value: &Value) -> String {
    let shown = escape::shown(value);
    match value.kind() {
        ValueKind::Undefined => "nothing".into(),
        ValueKind::None => "null".into(),
        ValueKind::Bool => shown,
        ValueKind::Number => format!("the number {shown}"),
        ValueKind::String => format!("the text {shown}"),
        ValueKind::Seq | ValueKind::Iterable => "a list".into(),
        ValueKind::Map => "a table of names".into(),
        _ => "something else".into(),
    }
}

fn there(value: &Value) -> Result<(), Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    if is_nan(value) {
        return Err(invalid("a number is not a number (NaN), so nothing can be said of it"));
    }
    Ok(())
}

pub(super) fn is_nan(value: &Value) -> bool {
    value.kind() == ValueKind::Number && f64::try_from(value.clone()).is_ok_and(f64::is_nan)
}

fn compare(left: Value, sign: &str, right: Value) -> Result<bool, Error> {
    there(&left)?;
    there(&right)?;
    if sign == "in" {
        return contains(&left, &right);
    }
    if matches!(sign, "==" | "!=") && (left.is_none() || right.is_none()) {
        return Ok((left.is_none() && right.is_none()) == (sign == "=="));
    }
    alike(&left, &right)?;
    let ordered = matches!(left.kind(), ValueKind::Number | ValueKind::String);
    match sign {
        "==" => Ok(left == right),
        "!=" => Ok(left != right),
        _ if !ordered => Err(invalid(format!("{} has no order", describe(&left)))),
        "<" => Ok(left < right),
        "<=" => Ok(left <= right),
        ">" => Ok(left > right),
        _ => Ok(left >= right),
    }
}

fn alike(left: &Value, right: &Value) -> Result<(), Error> {
    if class(left) == class(right) {
        return Ok(());
    }
    Err(invalid(format!("{} cannot be compared with {}", describe(left), describe(right))))
}

fn class(value: &Value) -> u8 {
    match value.kind() {
        ValueKind::None => 0,
        ValueKind::Bool => 1,
        ValueKind::Number => 2,
        ValueKind::String => 3,
        ValueKind::Seq | ValueKind::Iterable => 4,
        ValueKind::Map => 5,
        _ => 6,
    }
}

fn contains(item: &Value, container: &Value) -> Result<bool, Error> {
    match container.kind() {
        ValueKind::String => {
            alike(item, container)?;
            let (Some(part), Some(whole)) = (item.as_str(), container.as_str()) else {
                return Ok(false);
            };
            Ok(whole.contains(part))
        }
        ValueKind::Seq | ValueKind::Iterable => {
            for other in container.try_iter()? {
                there(&other)?;
                if other.is_none() && !item.is_none() {
                    continue;
                }
                alike(item, &other)?;
                if *item == other {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        ValueKind::Map => {
            alike(item, &Value::from(""))?;
            Ok(!container.get_item(item)?.is_undefined())
        }
        _ => Err(invalid(format!("{} holds nothing", describe(container)))),
    }
}

fn boolean(value: Value, word: &str) -> Result<bool, Error> {
    there(&value)?;
    match value.kind() {
        ValueKind::Bool => Ok(value.is_true()),
        _ => Err(invalid(format!("`{word}` needs true or false, and got {}", describe(&value)))),
    }
}

/// Only numbers: a text times a number would grow without bound.
fn times(left: Value, right: Value) -> Result<Value, Error> {
    there(&left)?;
    there(&right)?;
    if left.kind() != ValueKind::Number || right.kind() != ValueKind::Number {
        let (left, right) = (describe(&left), describe(&right));
        return Err(invalid(format!("{left} cannot be multiplied by {right}")));
    }
    if let (Some(a), Some(b)) = (left.as_i64(), right.as_i64())
        && left.is_integer()
        && right.is_integer()
    {
        let product = a.checked_mul(b).ok_or_else(|| invalid("the product is too large"))?;
        return Ok(Value::from(product));
    }
    Ok(Value::from(f64::try_from(left)? * f64::try_from(right)?))
}
