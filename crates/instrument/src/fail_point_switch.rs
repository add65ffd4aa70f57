//! Faults that a test switches on and off while a process runs, such as a backend outage.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::injected_fault::InjectedFault;
use crate::operation::OperationKey;

/// Switches faults of single operations on and off. Clones switch the same faults.
#[derive(Clone, Debug)]
pub struct FailPointSwitch(Arc<watch::Sender<SwitchState>>);

#[derive(Debug, Default)]
struct SwitchState {
    faults: HashMap<OperationKey, FaultMode>,
    /// How often each operation met a fault.
    hits: HashMap<OperationKey, u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FaultMode {
    Fail,
    Block,
}

impl Default for FailPointSwitch {
    fn default() -> Self {
        Self(Arc::new(watch::channel(SwitchState::default()).0))
    }
}

impl FailPointSwitch {
    /// From now on, the operation fails before its effect.
    pub fn start_failing(&self, backend: &'static str, op: &'static str) {
        self.set((backend, op), FaultMode::Fail);
    }

    /// From now on, the operation waits before its effect until [`clear`](Self::clear).
    pub fn start_blocking(&self, backend: &'static str, op: &'static str) {
        self.set((backend, op), FaultMode::Block);
    }

    /// Ends all faults. Blocked operations continue.
    pub fn clear(&self) {
        self.0.send_modify(|state| state.faults.clear());
    }

    /// Returns once the operation has met a fault `times` times in all.
    pub async fn wait_for_hits(&self, backend: &'static str, op: &'static str, times: u64) {
        let has_enough_hits = |state: &SwitchState| state.hits.get(&(backend, op)).is_some_and(|hits| *hits >= times);
        self.0.subscribe().wait_for(has_enough_hits).await.ok();
    }

    fn set(&self, operation: OperationKey, fault: FaultMode) {
        self.0.send_modify(|state| {
            state.faults.insert(operation, fault);
        });
    }

    /// Returns at once if no fault is switched on for the operation. Otherwise counts a hit, and fails or blocks the
    /// operation.
    pub(crate) async fn pass(&self, operation: OperationKey) -> Result<(), InjectedFault> {
        let (mut fault, mut hits) = (None, 0);
        self.0.send_if_modified(|state| {
            fault = state.faults.get(&operation).copied();
            if fault.is_some() {
                let count = state.hits.entry(operation).or_default();
                *count += 1;
                hits = *count;
            }
            fault.is_some()
        });
        match fault {
            Some(FaultMode::Fail) => Err(InjectedFault(hits)),
            Some(FaultMode::Block) => {
                let released = |state: &SwitchState| state.faults.get(&operation) != Some(&FaultMode::Block);
                self.0.subscribe().wait_for(released).await.ok();
                Ok(())
            }
            None => Ok(()),
        }
    }
}
