//! A bound on the time that an expression takes: what loops, asks in each round whether there is time left.
//!
//! The evaluator has no bound of its own and cannot be stopped from outside. So the loops that the language's macros stand
//! for are given a guard before anything is evaluated; without one an expression runs no longer than it is long.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use cel::{
    Context, ExecutionError, Value as CelValue,
    common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators},
};

/// The name of the guard. Nothing that is written can call it: the grammar has no names with `@`.
const IN_TIME: &str = "@in_time";

/// The time that an evaluation may take.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    ends: Instant,
    ran_out: Arc<AtomicBool>,
}

impl Clock {
    /// Starts now.
    pub(super) fn start(limit: Duration) -> Self {
        Self {
            ends: Instant::now() + limit,
            ran_out: Arc::default(),
        }
    }

    /// Lets the guards of an evaluation ask this clock.
    ///
    /// # Errors
    /// The evaluator has a function of the guard's name.
    pub(super) fn guards(&self, context: &mut Context) -> Result<(), String> {
        let clock = self.clone();
        let in_time = move || -> Result<CelValue, ExecutionError> {
            if Instant::now() < clock.ends {
                return Ok(CelValue::Bool(true));
            }
            clock.ran_out.store(true, Ordering::Relaxed);
            Err(ExecutionError::function_error(IN_TIME, "no time is left"))
        };
        context
            .add_function(IN_TIME, in_time)
            .map_err(|error| error.to_string())
    }

    /// Whether a guard was asked when no time was left. The value is then worth nothing, also where there is one: operators
    /// such as `||` let a failure pass when the other side decides.
    pub(super) fn ran_out(&self) -> bool {
        self.ran_out.load(Ordering::Relaxed)
    }
}

/// The expression with a guard in each of its loops.
pub(super) fn guarded(mut expression: IdedExpr) -> IdedExpr {
    guard(&mut expression);
    expression
}

fn guard(expression: &mut IdedExpr) {
    match &mut expression.expr {
        Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) => {}
        Expr::Select(select) => guard(&mut select.operand),
        Expr::Call(call) => call
            .target
            .iter_mut()
            .map(|target| &mut **target)
            .chain(&mut call.args)
            .for_each(guard),
        Expr::List(list) => list.elements.iter_mut().for_each(guard),
        Expr::Map(map) => map.entries.iter_mut().for_each(|entry| guard_entry(&mut entry.expr)),
        Expr::Struct(made) => made.entries.iter_mut().for_each(|entry| guard_entry(&mut entry.expr)),
        Expr::Comprehension(loops) => guard_loop(loops),
    }
}

fn guard_entry(entry: &mut EntryExpr) {
    match entry {
        EntryExpr::StructField(field) => guard(&mut field.value),
        EntryExpr::MapEntry(entry) => {
            guard(&mut entry.key);
            guard(&mut entry.value);
        }
    }
}

/// Puts the guard where a loop looks in each round, and where its failure ends the loop: into the condition. A condition
/// that is always true stays, since the evaluator knows `map` and `filter` by it, and runs them in place; of these the step
/// is guarded.
fn guard_loop(loops: &mut ComprehensionExpr) {
    for part in [
        &mut loops.iter_range,
        &mut loops.accu_init,
        &mut loops.loop_cond,
        &mut loops.loop_step,
        &mut loops.result,
    ] {
        guard(part);
    }
    if !matches!(loops.loop_cond.expr, Expr::Literal(_)) {
        let condition = std::mem::take(&mut loops.loop_cond);
        loops.loop_cond = if_in_time(condition, literal(false));
        return;
    }
    let accumulated = Expr::Ident(loops.accu_var.clone());
    match &mut loops.loop_step.expr {
        Expr::Call(step) if step.func_name == operators::CONDITIONAL && step.args.len() == 3 => {
            let condition = std::mem::take(&mut step.args[0]);
            step.args[0] = if_in_time(condition, literal(false));
        }
        _ => {
            let step = std::mem::take(&mut loops.loop_step);
            loops.loop_step = if_in_time(step, of(accumulated));
        }
    }
}

/// `IN_TIME() ? expression : otherwise`, of which the last is never come to: the guard is true, or it fails.
fn if_in_time(expression: IdedExpr, otherwise: IdedExpr) -> IdedExpr {
    let asked = of(call(IN_TIME, Vec::new()));
    of(call(operators::CONDITIONAL, vec![asked, expression, otherwise]))
}

fn call(name: &str, args: Vec<IdedExpr>) -> Expr {
    Expr::Call(CallExpr {
        func_name: name.to_owned(),
        target: None,
        args,
    })
}

fn literal(value: bool) -> IdedExpr {
    of(Expr::Literal(LiteralValue::Boolean(value.into())))
}

/// An expression that stands nowhere in the text.
fn of(expr: Expr) -> IdedExpr {
    IdedExpr { id: 0, expr }
}
