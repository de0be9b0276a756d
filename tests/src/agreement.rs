//! What the observer's reader sees of a program at rest, held against its report.

use std::{sync::Arc, thread};

use observer_go::runtime::{RuntimeReader, StateError, StateFigures};
pub use observer_testkit::agreement::Agreement;
use serde_json::to_value;

use crate::state::{Program, Report, STILL, at_rest, sample};

/// A reader's sample of a program at rest, held against its report.
#[derive(Debug)]
pub struct Look {
    /// What the two say of one another.
    pub agreement: Agreement,
    /// The sample before the report.
    pub before: Arc<StateFigures>,
    /// The report.
    pub said: Report,
    /// The sample after it.
    pub after: Arc<StateFigures>,
}

/// Samples, has the program report, samples again and compares.
pub fn look(reader: &mut RuntimeReader, program: &mut Program) -> Result<Look, StateError> {
    let mut tries = 0;
    loop {
        let before = at_rest(reader)?;
        let said = program.report();
        thread::sleep(STILL / 3);
        let after = sample(reader)?;
        let mut agreement = Agreement::default();
        let json = |figures: &StateFigures| to_value(figures).expect("JSON");
        agreement.compare(&json(&before), &said, &json(&after));
        tries += 1;
        if tries == 3 || !agreement.may_pass() {
            return Ok(Look {
                agreement,
                before,
                said,
                after,
            });
        }
    }
}
