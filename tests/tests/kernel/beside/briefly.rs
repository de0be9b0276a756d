//! What is left in the figures of programs that lived briefly.

use std::time::Duration;

use observer_tests::{Observer, metrics, short::Family, wait};

const SOON: Duration = Duration::from_secs(30);

#[test]
fn what_lived_briefly_is_one_series_and_stays_counted() {
    let observer = Observer::start();
    // The probes stand before the first child begins.
    let known = Family::standing();
    observer.attached(known.pid());
    let mut parent = Family::of(200, 4, ["20", "10ms"]);
    wait::until("two hundred children", Duration::from_secs(120), || {
        parent.has_ended().then_some(())
    });
    let truth = parent.truth();
    let program = observer.attached(known.pid()).process;
    let created = |pid: &str| {
        let labels = [format!("process=\"{program}\""), format!("pid=\"{pid}\"")];
        let labels = labels.each_ref().map(String::as_str);
        let name = "go_sched_goroutines_created_goroutines_total";
        metrics::sum(&observer.metrics(), name, &labels)
    };
    let whole = || (created("") == Some(truth.created as f64)).then_some(());
    wait::until("all that they created", SOON, whole);
    let own = known.pid().to_string();
    let metrics = observer.metrics();
    let others = metrics.all().filter(|(_, one)| {
        one.label("process") == program && !["", own.as_str()].contains(&one.label("pid"))
    });
    let others = others.count();
    assert_eq!(others, 0, "series of those that ended");
    wait::until("none of them shown", Duration::from_secs(60), || {
        let all = observer.processes();
        let ended = all.iter().filter(|it| it.process == program && it.ended);
        (ended.count() == 0).then_some(())
    });
    whole().expect("what they created stays");
}
