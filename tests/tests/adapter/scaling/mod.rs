//! The cluster's own autoscaler on the examples of deploy/, each as it is but
//! for its namespace and its seconds: windows and periods of minutes are
//! divided by 20, since the policies, not the waiting, are what is tested.

mod boards;
mod examples;
mod flapping;
mod load;

use observer_tests::cluster::{Adapter, Cluster, turn};

/// While replicas come and go the boards have something to show.
#[test]
fn replicas_follow_load_by_policy_and_the_boards_show_it() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    let adapter = Adapter::get(&cluster);
    let stage = boards::Stage::set(&cluster);
    let ran = examples::run(&adapter);
    stage.check(&cluster, &ran[0].namespace.name, "burst");
}

#[test]
fn load_that_comes_and_goes_does_not_flap() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    flapping::run(&Adapter::get(&cluster));
}
