//! Parts that live, end, panic and stand still.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::Liveness;

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_part_that_panics_has_ended() {
    let liveness = Liveness::default();
    let engine = liveness.part("engine");
    let other = liveness.part("other");
    assert_eq!(
        liveness.report(),
        Ok("engine: runs\nother: runs\n".to_owned())
    );
    assert_eq!(liveness.ended(), None);
    let thread = thread::spawn(move || {
        let _engine = engine;
        std::panic::resume_unwind(Box::new("a bug"));
    });
    assert!(thread.join().is_err());
    tokio::time::timeout(SOON, liveness.any_ended())
        .await
        .unwrap();
    assert_eq!(liveness.ended(), Some("engine"));
    let report = Err("engine: HAS ENDED\nother: runs\n".to_owned());
    assert_eq!(liveness.report(), report);
    drop(other);
    assert_eq!(liveness.ended(), Some("engine"), "the first is the cause");
}

#[tokio::test]
async fn a_task_that_panics_has_ended() {
    let liveness = Liveness::default();
    let pulse = liveness.part("task");
    let task = tokio::spawn(async move {
        let _pulse = pulse;
        tokio::task::yield_now().await;
        std::panic::resume_unwind(Box::new("a bug"));
    });
    assert!(task.await.is_err());
    assert_eq!(liveness.ended(), Some("task"));
}

#[test]
fn a_part_is_stuck_once_it_is_late() {
    let liveness = Liveness::patient(Duration::from_millis(50));
    let engine = liveness.part("engine");
    engine.rests(Instant::now() + Duration::from_secs(3600));
    thread::sleep(Duration::from_millis(100));
    let report = liveness.report().unwrap();
    assert!(
        report.starts_with("engine: moved 0."),
        "a long rest: {report}"
    );
    engine.works();
    thread::sleep(Duration::from_millis(100));
    let report = liveness.report().unwrap_err();
    assert!(report.starts_with("engine: STUCK, moved 0."), "{report}");
    engine.works();
    assert!(
        Liveness::default().report().is_ok(),
        "nothing is not unwell"
    );
}
