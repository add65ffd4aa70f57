//! Faults that a test switches on and off while a process runs: a backend that is away for a while.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::{Faults, Struck};

/// An operation as `Faults` knows it: the backend and the operation's name.
type Operation = (&'static str, &'static str);

/// Switches faults of single operations on and off. Clones switch the same faults.
#[derive(Clone, Debug)]
pub struct FaultSwitch(Arc<watch::Sender<State>>);

#[derive(Debug, Default)]
struct State {
    faults: HashMap<Operation, Fault>,
    /// How often each operation met a fault.
    met: HashMap<Operation, u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Fail,
    Hold,
}

impl Default for FaultSwitch {
    fn default() -> Self {
        Self(Arc::new(watch::channel(State::default()).0))
    }
}

impl FaultSwitch {
    /// The plan to give to the backends of a process.
    pub fn faults(&self) -> Faults {
        Faults { plan: None, switch: Some(self.clone()) }
    }

    /// From now on, the operation fails before its effect.
    pub fn fail(&self, place: &'static str, op: &'static str) {
        self.set((place, op), Fault::Fail);
    }

    /// From now on, the operation waits before its effect until [`clear`](Self::clear).
    pub fn hold(&self, place: &'static str, op: &'static str) {
        self.set((place, op), Fault::Hold);
    }

    /// Ends all faults.
    pub fn clear(&self) {
        self.0.send_modify(|state| state.faults.clear());
    }

    /// Returns once the operation has met a fault `times` times in all.
    pub async fn met(&self, place: &'static str, op: &'static str, times: u64) {
        let enough = |state: &State| state.met.get(&(place, op)).is_some_and(|met| *met >= times);
        self.0.subscribe().wait_for(enough).await.ok();
    }

    fn set(&self, operation: Operation, fault: Fault) {
        self.0.send_modify(|state| {
            state.faults.insert(operation, fault);
        });
    }

    /// Lets the operation pass if no fault is switched on for it.
    pub(super) async fn pass(&self, operation: Operation) -> Result<(), Struck> {
        let (mut fault, mut met) = (None, 0);
        self.0.send_if_modified(|state| {
            fault = state.faults.get(&operation).copied();
            if fault.is_some() {
                let count = state.met.entry(operation).or_default();
                *count += 1;
                met = *count;
            }
            fault.is_some()
        });
        match fault {
            Some(Fault::Fail) => Err(Struck(met)),
            Some(Fault::Hold) => {
                let released = |state: &State| state.faults.get(&operation) != Some(&Fault::Hold);
                self.0.subscribe().wait_for(released).await.ok();
                Ok(())
            }
            None => Ok(()),
        }
    }
}
