//! The part of Jinja that runbooks may use: parsed within limits, references collected, rebuilt in its strict form.

use std::ops::Range;

use minijinja::machinery::{Span, Token, ast, parse as parse_template, parse_expr, tokenize};
use minijinja::syntax::SyntaxConfig;

use super::strict::Builder;

/// Tokens of one expression or tag. Keeps every recursion over the tree within a small stack.
const TOKENS: usize = 300;
/// Bytes of one expression.
const EXPRESSION: usize = 8 * 1024;

/// Names of the strict operators; the space keeps them out of reach of a runbook.
pub(super) const COMPARE: &str = " compare";
pub(super) const BOOLEAN: &str = " boolean";
pub(super) const TIMES: &str = " times";
pub(super) const WHOLE_URL: &str = " whole_url";
/// Questions to a plan: the word of the runbook, and the function behind it.
pub(super) const PLAN: &str = "plan";
pub(super) const USES_INDEX: (&str, &str) = ("uses_index", " uses_index");
pub(super) const SCANS: (&str, &str) = ("scans", " scans");

/// What is wrong with an expression or template, and where in its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    pub message: String,
    pub hint: String,
    pub at: Range<usize>,
}

/// A name that an expression mentions, as far as its path is written out: `steps['a'].value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    pub root: String,
    pub path: Vec<Part>,
    pub at: Range<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Name(String),
    Index(i64),
    /// Known only when it is evaluated.
    Computed,
}

/// Something parsed: an expression or a template, in its strict form.
pub(super) enum Tree<'s> {
    Expression(ast::Expr<'s>),
    Template(ast::Stmt<'s>),
}

pub(super) struct Parsed<'s> {
    pub tree: Tree<'s>,
    pub references: Vec<Reference>,
    /// The `{{ … }}` of a template: bytes of the expression, and the name where it is nothing but one.
    pub emits: Vec<(Range<usize>, Option<String>)>,
}

/// `whole_url`: an expression at the very start of the template is a URL, not a part of one.
pub(super) fn template(source: &str, whole_url: bool) -> Result<Parsed<'_>, Flaw> {
    limits(source, false)?;
    let tree = parse_template(source, "template", config()).map_err(|error| flaw(source, &error))?;
    let mut builder = Builder::new(whole_url);
    let tree = Tree::Template(builder.stmt(&tree)?);
    Ok(builder.parsed(tree))
}

pub(super) fn expression(source: &str) -> Result<Parsed<'_>, Flaw> {
    if source.len() > EXPRESSION {
        return Err(Flaw {
            message: format!("the expression is longer than {EXPRESSION} bytes"),
            hint: "split it over several steps".into(),
            at: 0..source.len(),
        });
    }
    limits(source, true)?;
    let tree = parse_expr(source).map_err(|error| flaw(source, &error))?;
    let mut builder = Builder::new(false);
    let tree = Tree::Expression(builder.expr(&tree)?);
    Ok(builder.parsed(tree))
}

pub(super) fn config() -> SyntaxConfig {
    let built = SyntaxConfig::builder().keep_trailing_newline(true).build();
    built.unwrap_or_default()
}

/// What of a template stands as it is, and where its values start; bytes, in order.
pub(in crate::runbook) struct Layout {
    pub data: Vec<Range<usize>>,
    pub values: Vec<usize>,
}

/// None where the template does not parse.
pub(in crate::runbook) fn layout(source: &str) -> Option<Layout> {
    let mut layout = Layout { data: Vec::new(), values: Vec::new() };
    for token in tokenize(source, false, config()) {
        let (token, span) = token.ok()?;
        match token {
            Token::TemplateData(data) => {
                let at = range(span);
                if source.get(at.clone()) != Some(data) {
                    return None;
                }
                layout.data.push(at);
            }
            Token::VariableStart => layout.values.push(span.start_offset as usize),
            _ => {}
        }
    }
    Some(layout)
}

fn limits(source: &str, in_expression: bool) -> Result<(), Flaw> {
    let mut count = 0;
    for token in tokenize(source, in_expression, config()) {
        let (token, span) = token.map_err(|error| flaw(source, &error))?;
        count = match token {
            Token::VariableStart | Token::BlockStart => 0,
            _ => count + 1,
        };
        if count > TOKENS {
            return Err(Flaw {
                message: "the expression is too long".into(),
                hint: format!("at most {TOKENS} words and signs; split it"),
                at: range(span),
            });
        }
    }
    Ok(())
}

pub(super) fn range(span: Span) -> Range<usize> {
    span.start_offset as usize..span.end_offset as usize
}

fn flaw(source: &str, error: &minijinja::Error) -> Flaw {
    let message = error.detail().unwrap_or("this is not understood");
    let at = error.range().unwrap_or(0..source.len());
    Flaw { message: format!("syntax error: {message}"), hint: hint_for(source, at.clone()), at }
}

fn hint_for(source: &str, at: Range<usize>) -> String {
    let here = source.get(at.start.min(source.len())..).unwrap_or_default();
    if here.starts_with('=') && !here.starts_with("==") {
        "compare with `==`".into()
    } else if here.starts_with("&") || here.starts_with('|') {
        "write `and` or `or`".into()
    } else if here.starts_with('!') {
        "write `not` or `!=`".into()
    } else if source.matches("{{").count() > source.matches("}}").count() {
        "close it with }}".into()
    } else {
        "an example: value == 43 and error_rate < 2".into()
    }
}
