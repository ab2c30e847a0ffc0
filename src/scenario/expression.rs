//! Expressions of the Common Expression Language: compiled when a scenario is read, evaluated over what was seen.
//!
//! Names are checked at reading, so that a slip of the pen is an error of the scenario and never one of the product. How
//! long an evaluation may take is bounded: what is evaluated is an answer, and nobody knows how long one is.

use std::{sync::Arc, time::Duration};

use cel::{
    Context, Program, Value as CelValue,
    common::ast::{EntryExpr, Expr, IdedExpr},
    objects::Key,
};
use serde_json::Value;

use super::suggest;

mod bounded;

use bounded::Clock;

/// The longest expression, in bytes.
const LONGEST: usize = 400;

/// How deep the tree of an expression may be: each level is one of the evaluator's calls.
const DEEPEST: usize = 48;

/// Stack of the thread that parses, in bytes. The parser stops at its 96th level, and a level takes much of a stack.
const PARSERS_STACK: usize = 64 << 20;

/// The longest that one evaluation may take.
pub(super) const EVALUATES_WITHIN: Duration = Duration::from_secs(1);

/// What an expression may ask of an `answer`.
pub(super) const ANSWER_FIELDS: &[&str] = &[
    "answered_by",
    "headers",
    "inter_token_ms",
    "json",
    "model",
    "number",
    "passed_endpoint_picker",
    "served_by",
    "status",
    "text",
    "time_to_first_token_ms",
    "took_ms",
];

/// The functions of the language that are there; operators are not named.
const FUNCTIONS: &[&str] = &[
    "all",
    "bool",
    "bytes",
    "contains",
    "double",
    "endsWith",
    "exists",
    "exists_one",
    "filter",
    "has",
    "int",
    "map",
    "matches",
    "size",
    "startsWith",
    "string",
    "type",
    "uint",
];

/// An expression and its text.
#[derive(Debug, Clone)]
pub(crate) struct Expression {
    text: String,
    /// With a guard in each of its loops.
    tree: Arc<IdedExpr>,
}

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum NoValue {
    /// What was seen does not have what it asks for, or has it in another type.
    #[error("{0}")]
    NotThere(String),
    /// It was given up: nobody knows what it would have come to.
    #[error("it was given up after {0:?}")]
    OutOfTime(Duration),
}

/// What an expression is evaluated over: variables by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope(Vec<(String, CelValue)>);

impl Scope {
    /// Adds a variable.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: &Value) -> Self {
        self.0.push((name.to_owned(), cel_value(value)));
        self
    }
}

impl Expression {
    /// Compiles a text that may use the variables `known`.
    ///
    /// # Errors
    /// It is no expression, or names a variable, a function or a field of `answer` that does not exist; one sentence
    /// with the way out.
    pub(crate) fn compile(text: &str, known: &[&str]) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!(
                "the expression has {} bytes, at most {LONGEST} are read",
                text.len()
            ));
        }
        let program = std::thread::scope(|scope| {
            std::thread::Builder::new()
                .stack_size(PARSERS_STACK)
                .spawn_scoped(scope, || parse(text, known))
                .map_err(|error| format!("the expression cannot be read: {error}"))?
                .join()
                .unwrap_or_else(|_| Err("the expression cannot be read".to_owned()))
        })?;
        Ok(Self {
            text: text.to_owned(),
            tree: Arc::new(bounded::guarded(program.expression().clone())),
        })
    }

    /// The expression as it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether it asks for a variable.
    pub(crate) fn uses(&self, name: &str) -> bool {
        self.tree.references().has_variable(name)
    }

    /// Its value, which is there within a second or not at all.
    ///
    /// # Errors
    /// What was seen does not have what it asks for, or has it in another type; or it takes longer.
    pub(crate) fn value(&self, scope: &Scope) -> Result<Value, NoValue> {
        self.value_within(EVALUATES_WITHIN, scope)
    }

    fn value_within(&self, limit: Duration, scope: &Scope) -> Result<Value, NoValue> {
        let mut context = Context::default();
        for (name, value) in &scope.0 {
            context.add_variable_from_value(name.as_str(), value.clone());
        }
        let clock = Clock::start(limit);
        clock.guards(&mut context).map_err(NoValue::NotThere)?;
        let value = CelValue::resolve(&self.tree, &context);
        if clock.ran_out() {
            return Err(NoValue::OutOfTime(limit));
        }
        let value = value.map_err(|error| NoValue::NotThere(error.to_string()))?;
        value
            .json()
            .map_err(|_| NoValue::NotThere("its value is nothing that JSON can say".to_owned()))
    }
}

/// Parses an expression and looks at every name in it.
fn parse(text: &str, known: &[&str]) -> Result<Program, String> {
    let program = Program::compile(text).map_err(|errors| {
        let first = errors.errors.first();
        let what = first.map_or("it cannot be read", |error| error.msg.as_str());
        let column = first.map_or(1, |error| error.pos.1.max(1));
        let what = what.lines().next().unwrap_or_default();
        format!("no CEL expression: {what} (at its character {column})")
    })?;
    let mut names = Names {
        known: known.to_vec(),
        depth: 0,
    };
    names.look(program.expression())?;
    Ok(program)
}

/// The names that are known at a place of an expression, and how deep that place is.
struct Names<'a> {
    known: Vec<&'a str>,
    depth: usize,
}

impl<'a> Names<'a> {
    /// Refuses the first name that nothing has; names that the language's macros bind are known inside them.
    fn look(&mut self, expression: &'a IdedExpr) -> Result<(), String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("the expression is more than {DEEPEST} levels deep"));
        }
        self.look_inside(&expression.expr)?;
        self.depth -= 1;
        Ok(())
    }

    fn look_inside(&mut self, expression: &'a Expr) -> Result<(), String> {
        match expression {
            Expr::Unspecified | Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.variable(name),
            Expr::Select(select) => {
                let of_answer = matches!(&select.operand.expr, Expr::Ident(name) if name == "answer");
                if of_answer && !ANSWER_FIELDS.contains(&select.field.as_str()) {
                    let instead = suggest::instead_of(&select.field, ANSWER_FIELDS);
                    return Err(format!("`answer` has no `{}`{instead}", select.field));
                }
                self.look(&select.operand)
            }
            Expr::Call(call) => {
                let is_word = call.func_name.starts_with(|first: char| first.is_ascii_alphabetic());
                if is_word && !FUNCTIONS.contains(&call.func_name.as_str()) {
                    let instead = suggest::instead_of(&call.func_name, FUNCTIONS);
                    return Err(format!("no function is called `{}`{instead}", call.func_name));
                }
                let target = call.target.iter().map(|target| &**target);
                target.chain(&call.args).try_for_each(|part| self.look(part))
            }
            Expr::List(list) => list.elements.iter().try_for_each(|item| self.look(item)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| self.entry(&entry.expr)),
            Expr::Struct(made) => made.entries.iter().try_for_each(|entry| self.entry(&entry.expr)),
            Expr::Comprehension(loops) => {
                self.look(&loops.iter_range)?;
                self.look(&loops.accu_init)?;
                let outside = self.known.len();
                self.known.extend([loops.iter_var.as_str(), loops.accu_var.as_str()]);
                self.known.extend(loops.iter_var2.as_deref());
                for part in [&loops.loop_cond, &loops.loop_step, &loops.result] {
                    self.look(part)?;
                }
                self.known.truncate(outside);
                Ok(())
            }
        }
    }

    fn variable(&self, name: &str) -> Result<(), String> {
        if name.starts_with('@') || self.known.contains(&name) {
            return Ok(());
        }
        let instead = suggest::instead_of(name, &self.known);
        Err(format!("no variable is called `{name}`{instead}"))
    }

    fn entry(&mut self, entry: &'a EntryExpr) -> Result<(), String> {
        match entry {
            EntryExpr::StructField(field) => self.look(&field.value),
            EntryExpr::MapEntry(entry) => {
                self.look(&entry.key)?;
                self.look(&entry.value)
            }
        }
    }
}

/// JSON as the language sees it: a number without a fraction is an `int` where it fits one, so that `== 200` holds.
fn cel_value(value: &Value) -> CelValue {
    match value {
        Value::Null => CelValue::Null,
        Value::Bool(value) => CelValue::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => CelValue::Int(value),
            (None, Some(value)) => CelValue::UInt(value),
            (None, None) => CelValue::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => CelValue::String(Arc::new(text.clone())),
        Value::Array(items) => CelValue::List(Arc::new(items.iter().map(cel_value).collect())),
        Value::Object(fields) => {
            let fields: std::collections::HashMap<Key, CelValue> = fields
                .iter()
                .map(|(name, field)| (Key::from(name.as_str()), cel_value(field)))
                .collect();
            CelValue::from(fields)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    const KNOWN: &[&str] = &["answer", "answers", "model"];

    fn scope() -> Scope {
        let answer = json!({
            "status": 200,
            "headers": {"content-type": "application/json"},
            "json": {"data": [{"id": "m"}, {"id": "n"}], "usage": {"total_tokens": 7}, "share": 0.5},
            "text": "{}",
        });
        Scope::default()
            .with("answer", &answer)
            .with("answers", &json!([answer]))
            .with("model", &json!("m"))
    }

    #[rstest]
    #[case("answer.status == 200", json!(true))]
    #[case("answer.status in [404, 400]", json!(false))]
    #[case("answer.json.data.exists(item, item.id == model)", json!(true))]
    #[case("answer.json.data.map(item, item.id)", json!(["m", "n"]))]
    #[case("answer.headers['content-type'].startsWith('application/')", json!(true))]
    #[case("size(answers) == 1 && answers.all(one, one.status == 200)", json!(true))]
    #[case("has(answer.json.error) ? answer.json.error.message : model", json!("m"))]
    #[case("answer.json.usage.total_tokens + 1", json!(8))]
    #[case("answer.json.share < 1.0", json!(true))]
    #[case("answer.text.matches('^[{]')", json!(true))]
    fn what_was_seen_can_be_asked(#[case] text: &str, #[case] value: Value) {
        let expression = Expression::compile(text, KNOWN).unwrap();
        assert_eq!(expression.value(&scope()).unwrap(), value);
    }

    #[rstest]
    #[case::no_expression("answer.status ==", "no CEL expression")]
    #[case::variable("modle == 'm'", "did you mean `model`?")]
    #[case::inside_a_macro("answer.json.data.exists(item, itm.id == model)", "did you mean `item`?")]
    #[case::after_a_macro("answers.all(one, true) && one.status == 1", "no variable is called `one`")]
    #[case::field("answer.statsu == 200", "did you mean `status`?")]
    #[case::function("answer.text.startWith('a')", "did you mean `startsWith`?")]
    fn a_slip_of_the_pen_is_an_error_of_the_scenario(#[case] text: &str, #[case] said: &str) {
        let error = Expression::compile(text, KNOWN).unwrap_err();
        assert!(error.contains(said), "{error}");
    }

    #[rstest]
    #[case("answer.json.absent")]
    #[case("answer.json.data[7].id")]
    #[case("answer.status + 'a'")]
    fn what_is_not_there_has_no_value(#[case] text: &str) {
        Expression::compile(text, KNOWN).unwrap().value(&scope()).unwrap_err();
    }

    #[rstest]
    #[case("[1].all(x, x > 0)")]
    #[case("bool('true')")]
    #[case("bytes('a') == b'a'")]
    #[case("'ab'.contains('b') && 'ab'.endsWith('b') && 'ab'.startsWith('a')")]
    #[case("double('1.5') == 1.5")]
    #[case("[1].exists(x, x == 1) && [1].exists_one(x, x == 1)")]
    #[case("[1, 2].filter(x, x > 1) == [2]")]
    #[case("int('1') == 1 && uint(1) == 1u && string(1) == '1'")]
    #[case("type(1) == type(2)")]
    fn every_function_that_is_offered_is_there(#[case] text: &str) {
        let value = Expression::compile(text, &[]).unwrap().value(&Scope::default());
        assert_eq!(value, Ok(json!(true)));
    }

    /// A list of a thousand numbers: loops in loops over it run for ages.
    fn long_list() -> Scope {
        let numbers: Vec<u32> = (1..=1000).collect();
        Scope::default().with("answers", &json!(numbers))
    }

    #[rstest]
    #[case::all("answers.all(a, answers.all(b, answers.all(c, answers.all(d, a + b + c + d > 0))))")]
    #[case::exists("answers.exists(a, answers.exists(b, answers.exists(c, answers.exists(d, a + b + c + d < 0))))")]
    #[case::exists_one("answers.exists_one(a, answers.exists_one(b, answers.exists_one(c, a + b + c < 0)))")]
    #[case::map("answers.map(a, answers.map(b, answers.map(c, a * b * c).size()))")]
    #[case::filter("answers.filter(a, answers.filter(b, answers.filter(c, a + b == c).size() > 0).size() > 0)")]
    #[case::guarded_map("answers.map(a, a > 0, answers.map(b, b > 0, answers.map(c, c > 0, a * b * c)).size())")]
    #[case::although_something_else_decides("answers.all(a, answers.all(b, answers.all(c, a + b + c > 0))) || true")]
    #[case::in_a_list("[answers.all(a, answers.all(b, answers.all(c, a + b + c > 0)))].size() == 1")]
    #[case::in_a_map("{'x': answers.all(a, answers.all(b, answers.all(c, a + b + c > 0)))}.size() == 1")]
    fn an_expression_that_would_run_for_ages_is_given_up(#[case] text: &str) {
        let limit = Duration::from_millis(20);
        let began = std::time::Instant::now();
        let value = Expression::compile(text, KNOWN)
            .unwrap()
            .value_within(limit, &long_list());
        assert_eq!(value, Err(NoValue::OutOfTime(limit)));
        // A busy machine is slow, but not by a factor of a thousand.
        assert!(began.elapsed() < limit * 1000, "{:?}", began.elapsed());
    }

    #[rstest]
    #[case("answers.all(a, a > 0) && answers.exists(a, a == 7) && answers.exists_one(a, a == 7)", json!(true))]
    #[case("answers.filter(a, a > 998)", json!([999, 1000]))]
    #[case("answers.map(a, a * 2).filter(a, a < 5)", json!([2, 4]))]
    #[case("answers.map(a, a < 3, a * 2)", json!([2, 4]))]
    #[case("answers.all(a, answers.exists(b, b == a) || a > 20)", json!(true))]
    #[case("answers.exists(a, a == 'x' || a == 1)", json!(true))]
    fn a_guard_changes_no_value(#[case] text: &str, #[case] value: Value) {
        let expression = Expression::compile(text, KNOWN).unwrap();
        assert_eq!(expression.value_within(Duration::from_mins(1), &long_list()), Ok(value));
    }

    #[test]
    fn nobody_can_call_the_guard() {
        Expression::compile("@in_time()", &[]).unwrap_err();
    }

    #[rstest]
    #[case::too_long("1".repeat(LONGEST + 1))]
    #[case::too_deep(format!("{}1", "1+".repeat(DEEPEST)))]
    #[case::too_deep_to_parse(format!("{}1{}", "[".repeat(190), "]".repeat(190)))]
    fn an_expression_that_is_too_long_or_too_deep_is_refused(#[case] text: String) {
        Expression::compile(&text, &[]).unwrap_err();
    }

    #[rstest]
    #[case::brackets(format!("{}1{}", "(".repeat(9), ")".repeat(9)))]
    #[case::lists(format!("{}1{}", "[".repeat(DEEPEST / 2), "]".repeat(DEEPEST / 2)))]
    #[case::negations(format!("{}true", "!".repeat(LONGEST - 4)))]
    #[case::minuses(format!("{}1", "-".repeat(LONGEST - 1)))]
    #[case::fields(format!("model{}", ".a".repeat(LONGEST / 2 - 3)))]
    #[case::choices(format!("{}1", "true?1:".repeat(LONGEST / 8)))]
    #[case::sums(format!("{}1", "1+".repeat(DEEPEST - 1)))]
    #[case::many_sums(format!("{}1", "1+".repeat(LONGEST / 2 - 1)))]
    #[case::indexes(format!("model{}", "[0]".repeat(LONGEST / 3 - 2)))]
    fn the_deepest_that_is_read_fits_the_stack(#[case] text: String) {
        if let Ok(expression) = Expression::compile(&text, KNOWN) {
            let _ = expression.value(&scope());
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z.()\\[\\]{}<>=!&|?:'\"+*/%0-9 -]{0,80}") {
            let _ = Expression::compile(&text, KNOWN);
        }
    }
}
