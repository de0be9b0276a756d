//! Of which workload a board is.

pub(super) const NAMESPACE: (&str, &str) = ("namespace", "label_values(go_goroutines, namespace)");
pub(super) const WORKLOAD: (&str, &str) = (
    "workload",
    "label_values(observer_pod_info{namespace=\"$namespace\"}, workload)",
);

/// Joins a pod's series with its workload.
macro_rules! of_workload {
    ($query:literal) => {
        concat!(
            "sum by (pod) (",
            $query,
            ") * on (pod) group_left () max by (pod) (observer_pod_info{namespace=\"$namespace\", workload=\"$workload\"})"
        )
    };
}
pub(super) use of_workload;
