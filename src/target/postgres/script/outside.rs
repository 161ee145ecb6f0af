//! Statements outside of a transaction: what is there already is looked for first and journaled, then each runs by itself;
//! what a failure left is looked for at once.

use std::time::Duration;

use tokio::time::timeout;

use super::{Attempt, GONE};
use crate::failpoint;
use crate::run::facts::{Effect, Probed};
use crate::run::{Chunk, Fault, Outcome};
use crate::target::direct::{Ready, own_cleanup, refine};
use crate::target::notice::Notice;
use crate::target::postgres::activity::Presence;
use crate::target::postgres::direct::{self, Refused};
use crate::target::shape::Shape;
use crate::target::words::{self, BY_ITSELF, FAILED_ALONE, NOTHING_SENT, Stop};

/// How long what a failure left is looked for.
const LOOK_AFTER: Duration = Duration::from_secs(10);

impl Attempt<'_> {
    pub(super) async fn direct(&mut self) -> Outcome {
        let ready = match self.ready().await {
            Ok(ready) => ready,
            Err(outcome) => return *outcome,
        };
        self.left_out = ready.done;
        let ended = self.statements().await;
        if failpoint::hit("target.direct.after") {
            return Outcome::Unknown { known: "a test broke it off after its last statement".to_owned() };
        }
        if let Err(stop) = ended {
            return self.stopped(stop).await;
        }
        self.collector.count_notices(&mut self.ear).await;
        let facts = self.collector.facts();
        match self.collector.judged(self.judge, &facts) {
            Err(fault) => words::unjudged(fault, Effect::Possible, BY_ITSELF),
            Ok(Some(verdict)) if !verdict.passed => words::refused(verdict, facts, Effect::Possible, BY_ITSELF),
            Ok(verdict) => words::done(facts, verdict),
        }
    }

    /// Looks what is there already, and has the journal hold what it saw: from then on statements may have been sent.
    async fn ready(&mut self) -> Result<Ready, Box<Outcome>> {
        let (ready, probed) = match self.target.look_first(self.job).await {
            Ok(looked) => looked,
            Err(Refused::Failed(fault)) => return Err(Box::new(words::failed(*fault, None))),
            Err(Refused::Broke(fault)) => return Err(Box::new(words::broke(*fault))),
        };
        let session = &self.session.backend;
        let probed = Probed { session: Some((session.pid, session.born.clone())), ..probed };
        self.before.clone_from(&probed.before);
        if failpoint::hit("target.direct.before") {
            return Err(Box::new(words::broke(unjournaled("a test broke it off"))));
        }
        if let Some(witness) = self.job.witness {
            let stored = witness.witness(Chunk::Probed(probed)).await;
            stored.map_err(|why| Box::new(words::broke(unjournaled(&why))))?;
        }
        Ok(ready)
    }

    async fn stopped(&mut self, stop: Stop) -> Outcome {
        self.collector.count_notices(&mut self.ear).await;
        let (n, of) = (self.collector.statement(), self.job.statements.len());
        if let Stop::Problem(problem) = &stop
            && problem.lost
        {
            let session = &self.session.backend;
            let presence = match self.target.until_gone(session, self.job.transaction, GONE).await {
                Presence::Gone => "its session has left the server".to_owned(),
                Presence::Still => format!("its session (pid {}) is still there", session.pid),
                Presence::Unreachable(why) => format!("the server cannot be asked ({why})"),
            };
            let known = format!("the connection was lost in statement {n} of {of}: {}; {presence}", problem.words());
            return Outcome::Unknown { known };
        }
        let cause = self.cause(&stop);
        let residue = matches!(&stop, Stop::Problem(_)) && self.leaves_residue(n);
        let (effect, safe) = match n {
            0 => (Effect::None, NOTHING_SENT),
            1 if !residue && matches!(&stop, Stop::Problem(_)) => (Effect::None, FAILED_ALONE),
            _ => (Effect::Possible, BY_ITSELF),
        };
        let mut fault = words::fault(stop, cause, n, effect, safe);
        if n > 0 {
            self.look_after(&mut fault).await;
        }
        words::failed(fault, Some(self.collector.facts()))
    }

    /// What a failure left is looked for while everybody still knows what it was about.
    async fn look_after(&self, fault: &mut Fault) {
        let cleaning = self.job.direct.cleaning as usize;
        if self.collector.statement() as usize <= cleaning {
            // Not even that went through: the next try begins with it again. What a person chose to send is theirs to repeat.
            let own = self.job.statements.iter().take(cleaning).skip(self.job.direct.fixing as usize);
            fault.residue = own.map(|one| one.sql.clone()).collect();
            fault.effect = Effect::Possible;
            return;
        }
        if !self.target.can_tell(direct::own(self.job), self.job.direct) {
            if fault.effect == Effect::Possible {
                fault.residue = own_cleanup(self.job.direct);
            }
            return;
        }
        let ruling = self.target.rule(direct::own(self.job), self.job.direct, &self.before);
        if let Ok(Ok(ruling)) = timeout(LOOK_AFTER, ruling).await {
            refine(fault, ruling);
        }
    }

    fn leaves_residue(&self, n: u32) -> bool {
        let statement = self.job.statements.get((n as usize).saturating_sub(1));
        statement.is_some_and(|statement| Shape::of(&statement.sql).leaves_residue())
    }

    /// Passes over a statement that an earlier attempt has done already.
    pub(super) async fn leave_out(&mut self, n: usize, sql: &str) -> bool {
        let own = n.checked_sub(self.job.direct.cleaning as usize);
        if own.is_none() || self.left_out.is_empty() || direct::is_passing(sql) {
            return false;
        }
        let text = format!("statement {} is left out: {}", n + 1, self.left_out.remove(0));
        self.collector.pass();
        self.collector.notice(Notice { severity: "NOTICE", text }).await;
        true
    }
}

fn unjournaled(why: &str) -> Fault {
    Fault {
        safe: NOTHING_SENT.to_owned(),
        ..Fault::new(format!("the journal did not take what was there before: {why}"))
    }
}
