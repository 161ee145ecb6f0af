//! The tree of an expression built anew in its strict form: comparisons that refuse to compare apples with pears,
//! conditions that must be true or false, nothing that could reach outside or grow without bound.

use std::ops::Range;

use minijinja::Value;
use minijinja::machinery::{Span, ast};

use super::engine::{FILTERS, TESTS};
use super::syntax::{
    BOOLEAN, COMPARE, Flaw, PLAN, Parsed, Part, Reference, SCANS, TIMES, Tree, USES_INDEX, WHOLE_URL, range,
};
pub(super) struct Builder {
    references: Vec<Reference>,
    emits: Vec<(Range<usize>, Option<String>)>,
    /// Names that `for` brings into being.
    local: Vec<String>,
    whole_url: bool,
}

type Built<T> = Result<T, Flaw>;

impl Builder {
    pub fn new(whole_url: bool) -> Self {
        Self { references: Vec::new(), emits: Vec::new(), local: Vec::new(), whole_url }
    }

    pub fn parsed(self, tree: Tree<'_>) -> Parsed<'_> {
        Parsed { tree, references: self.references, emits: self.emits }
    }

    fn stmts<'s>(&mut self, stmts: &[ast::Stmt<'s>]) -> Built<Vec<ast::Stmt<'s>>> {
        stmts.iter().map(|stmt| self.stmt(stmt)).collect()
    }

    pub fn stmt<'s>(&mut self, stmt: &ast::Stmt<'s>) -> Built<ast::Stmt<'s>> {
        use ast::Stmt;
        Ok(match stmt {
            Stmt::Template(node) => {
                let children = self.stmts(&node.children)?;
                Stmt::Template(ast::Spanned::new(ast::Template { children }, node.span()))
            }
            Stmt::EmitRaw(node) => {
                self.whole_url &= node.raw.is_empty();
                Stmt::EmitRaw(ast::Spanned::new(ast::EmitRaw { raw: node.raw }, node.span()))
            }
            Stmt::EmitExpr(node) => Stmt::EmitExpr(self.emit(node)?),
            Stmt::IfCond(node) => {
                self.whole_url = false;
                let test = ast::IfCond {
                    expr: boolean(self.expr(&node.expr)?, "if", node.expr.span()),
                    true_body: self.stmts(&node.true_body)?,
                    false_body: self.stmts(&node.false_body)?,
                };
                Stmt::IfCond(ast::Spanned::new(test, node.span()))
            }
            Stmt::ForLoop(node) => Stmt::ForLoop(self.for_loop(node)?),
            _ => return Err(unknown_tag()),
        })
    }

    fn emit<'s>(&mut self, node: &ast::Spanned<ast::EmitExpr<'s>>) -> Built<ast::Spanned<ast::EmitExpr<'s>>> {
        let at = range(node.expr.span());
        let name = match &node.expr {
            ast::Expr::Var(var) => Some(var.id.to_owned()),
            _ => None,
        };
        self.emits.push((at, name));
        let first = std::mem::take(&mut self.whole_url);
        let mut expr = self.expr(&node.expr)?;
        if first {
            expr = call(WHOLE_URL, vec![expr], node.span());
        }
        Ok(ast::Spanned::new(ast::EmitExpr { expr }, node.span()))
    }

    fn for_loop<'s>(&mut self, node: &ast::Spanned<ast::ForLoop<'s>>) -> Built<ast::Spanned<ast::ForLoop<'s>>> {
        self.whole_url = false;
        if node.recursive {
            return Err(unknown_tag());
        }
        let iter = self.expr(&node.iter)?;
        let outer = self.local.len();
        let target = self.target(&node.target)?;
        self.local.push("loop".into());
        let filter_expr = match &node.filter_expr {
            Some(expr) => Some(boolean(self.expr(expr)?, "if", expr.span())),
            None => None,
        };
        let body = self.stmts(&node.body)?;
        self.local.truncate(outer);
        let built =
            ast::ForLoop { target, iter, filter_expr, recursive: false, body, else_body: self.stmts(&node.else_body)? };
        Ok(ast::Spanned::new(built, node.span()))
    }

    fn target<'s>(&mut self, target: &ast::Expr<'s>) -> Built<ast::Expr<'s>> {
        match target {
            ast::Expr::Var(var) => {
                self.local.push(var.id.to_owned());
                Ok(ast::Expr::Var(ast::Spanned::new(ast::Var { id: var.id }, var.span())))
            }
            ast::Expr::Tuple(tuple) => {
                let items: Built<Vec<_>> = tuple.items.iter().map(|item| self.target(item)).collect();
                Ok(ast::Expr::Tuple(ast::Spanned::new(ast::Tuple { items: items? }, tuple.span())))
            }
            other => Err(refused("a loop needs a plain name", "{% for row in table %}", other.span())),
        }
    }

    fn exprs<'s>(&mut self, exprs: &[ast::Expr<'s>]) -> Built<Vec<ast::Expr<'s>>> {
        exprs.iter().map(|expr| self.expr(expr)).collect()
    }

    fn maybe<'s>(&mut self, expr: Option<&ast::Expr<'s>>) -> Built<Option<ast::Expr<'s>>> {
        expr.map(|expr| self.expr(expr)).transpose()
    }

    pub fn expr<'s>(&mut self, expr: &ast::Expr<'s>) -> Built<ast::Expr<'s>> {
        use ast::Expr;
        if let Some(built) = self.reference(expr)? {
            return Ok(built);
        }
        let span = expr.span();
        Ok(match expr {
            Expr::Var(node) => Expr::Var(ast::Spanned::new(ast::Var { id: node.id }, span)),
            Expr::Const(node) => constant(node.value.clone(), span),
            Expr::Slice(node) => {
                let slice = ast::Slice {
                    expr: self.expr(&node.expr)?,
                    start: self.maybe(node.start.as_ref())?,
                    stop: self.maybe(node.stop.as_ref())?,
                    step: self.maybe(node.step.as_ref())?,
                };
                Expr::Slice(ast::Spanned::new(slice, span))
            }
            Expr::UnaryOp(node) => self.unary(node)?,
            Expr::BinOp(node) => self.binary(node)?,
            Expr::Compare(_) => {
                return Err(refused("a comparison of more than two values", "write: 1 < value and value < 9", span));
            }
            Expr::IfExpr(node) => self.choice(node)?,
            Expr::Filter(node) => {
                let filter = ast::Filter {
                    name: node.name,
                    expr: self.maybe(node.expr.as_ref())?,
                    args: self.args(&node.args)?,
                };
                known("filter", node.name, FILTERS, span)?;
                Expr::Filter(ast::Spanned::new(filter, span))
            }
            Expr::Test(node) => {
                let test = ast::Test { name: node.name, expr: self.expr(&node.expr)?, args: self.args(&node.args)? };
                known("test", node.name, TESTS, span)?;
                Expr::Test(ast::Spanned::new(test, span))
            }
            Expr::GetAttr(node) => {
                let expr = self.expr(&node.expr)?;
                Expr::GetAttr(ast::Spanned::new(ast::GetAttr { expr, name: node.name }, span))
            }
            Expr::GetItem(node) => {
                let item =
                    ast::GetItem { expr: self.expr(&node.expr)?, subscript_expr: self.expr(&node.subscript_expr)? };
                Expr::GetItem(ast::Spanned::new(item, span))
            }
            Expr::Call(node) => self.question(node)?,
            Expr::List(node) => {
                let items = self.exprs(&node.items)?;
                Expr::List(ast::Spanned::new(ast::List { items }, span))
            }
            Expr::Tuple(node) => {
                let items = self.exprs(&node.items)?;
                Expr::Tuple(ast::Spanned::new(ast::Tuple { items }, span))
            }
            Expr::Map(node) => {
                let map = ast::Map { keys: self.exprs(&node.keys)?, values: self.exprs(&node.values)? };
                Expr::Map(ast::Spanned::new(map, span))
            }
        })
    }

    /// The only functions there are ask a plan: `uses_index('name')`, `scans('table')`.
    fn question<'s>(&mut self, node: &ast::Spanned<ast::Call<'s>>) -> Built<ast::Expr<'s>> {
        let span = node.span();
        let asked = match &node.expr {
            ast::Expr::Var(name) => [USES_INDEX, SCANS].into_iter().find(|(word, _)| *word == name.id),
            _ => None,
        };
        let Some((word, function)) = asked else {
            let message = "functions and methods are not part of the language";
            return Err(refused(message, "use a filter: stdout | trim, table | length", span));
        };
        let [ast::CallArg::Pos(name)] = node.args.as_slice() else {
            return Err(refused(&format!("`{word}` asks for one name"), &format!("write {word}('…')"), span));
        };
        if !names_something(name) {
            let message = format!("`{word}` asks for a name, and this is none");
            return Err(refused(&message, &format!("write {word}('…')"), name.span()));
        }
        self.references.push(Reference { root: PLAN.to_owned(), path: Vec::new(), at: range(span) });
        let plan = ast::Expr::Var(ast::Spanned::new(ast::Var { id: PLAN }, span));
        Ok(call(function, vec![plan, self.expr(name)?], span))
    }

    /// Notes a name with its path and rebuilds it. None where the expression is something else.
    fn reference<'s>(&mut self, expr: &ast::Expr<'s>) -> Built<Option<ast::Expr<'s>>> {
        let mut parts = Vec::new();
        let mut at = expr;
        let root = loop {
            match at {
                ast::Expr::Var(var) => break var,
                ast::Expr::GetAttr(node) => {
                    parts.push(Part::Name(node.name.to_owned()));
                    at = &node.expr;
                }
                ast::Expr::GetItem(node) => {
                    parts.push(part(&node.subscript_expr));
                    at = &node.expr;
                }
                _ => return Ok(None),
            }
        };
        if !self.local.iter().any(|name| name == root.id) {
            parts.reverse();
            self.references.push(Reference {
                root: root.id.to_owned(),
                path: parts,
                at: range(root.span()).start..range(expr.span()).end,
            });
        }
        self.path(expr).map(Some)
    }

    fn path<'s>(&mut self, expr: &ast::Expr<'s>) -> Built<ast::Expr<'s>> {
        let span = expr.span();
        Ok(match expr {
            ast::Expr::GetAttr(node) => {
                let expr = self.path(&node.expr)?;
                ast::Expr::GetAttr(ast::Spanned::new(ast::GetAttr { expr, name: node.name }, span))
            }
            ast::Expr::GetItem(node) => {
                let item =
                    ast::GetItem { expr: self.path(&node.expr)?, subscript_expr: self.expr(&node.subscript_expr)? };
                ast::Expr::GetItem(ast::Spanned::new(item, span))
            }
            ast::Expr::Var(node) => ast::Expr::Var(ast::Spanned::new(ast::Var { id: node.id }, span)),
            other => self.expr(other)?,
        })
    }

    fn args<'s>(&mut self, args: &[ast::CallArg<'s>]) -> Built<Vec<ast::CallArg<'s>>> {
        let built = args.iter().map(|arg| match arg {
            ast::CallArg::Pos(expr) => Ok(ast::CallArg::Pos(self.expr(expr)?)),
            ast::CallArg::Kwarg(name, expr) => Ok(ast::CallArg::Kwarg(name, self.expr(expr)?)),
            ast::CallArg::PosSplat(expr) | ast::CallArg::KwargSplat(expr) => {
                Err(refused("`*` is not part of the language", "write the arguments out", expr.span()))
            }
        });
        built.collect()
    }

    fn unary<'s>(&mut self, node: &ast::Spanned<ast::UnaryOp<'s>>) -> Built<ast::Expr<'s>> {
        let expr = self.expr(&node.expr)?;
        let (op, expr) = match node.op {
            ast::UnaryOpKind::Not => (ast::UnaryOpKind::Not, boolean(expr, "not", node.expr.span())),
            ast::UnaryOpKind::Neg => (ast::UnaryOpKind::Neg, expr),
        };
        Ok(ast::Expr::UnaryOp(ast::Spanned::new(ast::UnaryOp { op, expr }, node.span())))
    }

    fn binary<'s>(&mut self, node: &ast::Spanned<ast::BinOp<'s>>) -> Built<ast::Expr<'s>> {
        use ast::BinOpKind as Kind;
        let left = self.expr(&node.left)?;
        let right = self.expr(&node.right)?;
        let span = node.span();
        let sign = match node.op {
            Kind::Eq => "==",
            Kind::Ne => "!=",
            Kind::Lt => "<",
            Kind::Lte => "<=",
            Kind::Gt => ">",
            Kind::Gte => ">=",
            Kind::In => "in",
            Kind::Mul => return Ok(call(TIMES, vec![left, right], span)),
            Kind::ScAnd | Kind::ScOr => {
                let word = if matches!(node.op, Kind::ScAnd) { "and" } else { "or" };
                let left = boolean(left, word, node.left.span());
                let right = boolean(right, word, node.right.span());
                let op = node.op;
                return Ok(ast::Expr::BinOp(ast::Spanned::new(ast::BinOp { op, left, right }, span)));
            }
            op => {
                return Ok(ast::Expr::BinOp(ast::Spanned::new(ast::BinOp { op, left, right }, span)));
            }
        };
        Ok(compare(left, sign, right, span))
    }

    fn choice<'s>(&mut self, node: &ast::Spanned<ast::IfExpr<'s>>) -> Built<ast::Expr<'s>> {
        let Some(otherwise) = &node.false_expr else {
            return Err(refused("this `if` has no `else`", "write: a if condition else b", node.span()));
        };
        let choice = ast::IfExpr {
            test_expr: boolean(self.expr(&node.test_expr)?, "if", node.test_expr.span()),
            true_expr: self.expr(&node.true_expr)?,
            false_expr: Some(self.expr(otherwise)?),
        };
        Ok(ast::Expr::IfExpr(ast::Spanned::new(choice, node.span())))
    }
}

fn part(subscript: &ast::Expr<'_>) -> Part {
    let ast::Expr::Const(node) = subscript else {
        return Part::Computed;
    };
    match (node.value.as_str(), node.value.as_i64()) {
        (Some(name), _) => Part::Name(name.to_owned()),
        (None, Some(index)) => Part::Index(index),
        (None, None) => Part::Computed,
    }
}

fn constant<'s>(value: Value, span: Span) -> ast::Expr<'s> {
    ast::Expr::Const(ast::Spanned::new(ast::Const { value }, span))
}

/// False for what can be no name, whatever its parts are.
fn names_something(expr: &ast::Expr<'_>) -> bool {
    match expr {
        ast::Expr::Const(constant) => constant.value.as_str().is_some_and(|name| !name.trim().is_empty()),
        ast::Expr::BinOp(node) => matches!(node.op, ast::BinOpKind::Concat | ast::BinOpKind::Add),
        ast::Expr::UnaryOp(_) | ast::Expr::Test(_) | ast::Expr::List(_) | ast::Expr::Map(_) => false,
        _ => true,
    }
}

fn call<'s>(name: &'static str, args: Vec<ast::Expr<'s>>, span: Span) -> ast::Expr<'s> {
    let function = ast::Expr::Var(ast::Spanned::new(ast::Var { id: name }, span));
    let args = args.into_iter().map(ast::CallArg::Pos).collect();
    ast::Expr::Call(ast::Spanned::new(ast::Call { expr: function, args }, span))
}

fn compare<'s>(left: ast::Expr<'s>, sign: &'static str, right: ast::Expr<'s>, span: Span) -> ast::Expr<'s> {
    call(COMPARE, vec![left, constant(Value::from(sign), span), right], span)
}

fn boolean<'s>(expr: ast::Expr<'s>, word: &'static str, span: Span) -> ast::Expr<'s> {
    call(BOOLEAN, vec![expr, constant(Value::from(word), span)], span)
}

fn known(what: &str, name: &str, names: &[&str], span: Span) -> Built<()> {
    if names.contains(&name) {
        return Ok(());
    }
    let hint = crate::runbook::suggest::hint(name, names, "");
    Err(refused(&format!("`{name}` is not a {what}"), &hint, span))
}

fn refused(message: &str, hint: &str, span: Span) -> Flaw {
    Flaw { message: message.to_owned(), hint: hint.to_owned(), at: range(span) }
}

fn unknown_tag() -> Flaw {
    Flaw {
        message: "only {{ }}, {% if %} and {% for %} are part of the language".into(),
        hint: "leave the tag out".into(),
        at: 0..usize::MAX,
    }
}
