//! The board of an autoscaler: its metric and target, its replicas, and when it
//! changed them. What the autoscaler itself says is kube-state-metrics'.

use super::{
    Annotation, Board, Panel, panel,
    workload::{NAMESPACE, WORKLOAD, of_workload},
};

/// The autoscalers of the workload.
macro_rules! autoscalers {
    () => {
        "max by (namespace, horizontalpodautoscaler) (kube_horizontalpodautoscaler_info{namespace=\"$namespace\", scaletargetref_name=\"$workload\"})"
    };
}

/// A figure of the workload's autoscalers, by labels of its own.
macro_rules! of_autoscaler {
    ($by:literal, $query:expr) => {
        concat!(
            "max by (",
            $by,
            ") (",
            $query,
            " * on (namespace, horizontalpodautoscaler) group_left () ",
            autoscalers!(),
            ")"
        )
    };
}

/// Metrics of pods and objects; those of resources are percentages.
macro_rules! metric {
    ($of:literal) => {
        concat!(
            "kube_horizontalpodautoscaler_",
            $of,
            "_target_metric{namespace=\"$namespace\", metric_name!~\"cpu|memory\"}"
        )
    };
}

/// What a metric has that its target is of, where one could be both.
macro_rules! seen {
    () => {
        concat!(
            "(",
            metric!("status"),
            " and on (namespace, horizontalpodautoscaler, metric_name, metric_target_type) ",
            metric!("spec"),
            ")"
        )
    };
}

macro_rules! desired {
    () => {
        "kube_horizontalpodautoscaler_status_desired_replicas{namespace=\"$namespace\"}"
    };
}

/// When more replicas are wanted than the least of the last minute, or fewer
/// than the most; an autoscaler that has not looked yet wants none, which is no
/// number of replicas.
macro_rules! changed {
    ($than:literal) => {
        concat!(
            desired!(),
            $than,
            "((",
            desired!(),
            " > 0)[1m:15s]) and on (namespace, horizontalpodautoscaler) ",
            autoscalers!()
        )
    };
}

pub(super) const BOARD: Board = Board {
    uid: "go-observer-autoscaling",
    title: "Autoscaling by goroutines",
    variables: &[NAMESPACE, WORKLOAD],
    annotations: &[
        Annotation {
            name: "Scaled up",
            color: "orange",
            query: changed!(" > min_over_time"),
            text: "{{horizontalpodautoscaler}} wants more replicas than within the last minute",
        },
        Annotation {
            name: "Scaled down",
            color: "blue",
            query: changed!(" < max_over_time"),
            text: "{{horizontalpodautoscaler}} wants fewer replicas than within the last minute",
        },
    ],
    panels: &[
        Panel {
            right: Some("replicas.*"),
            ..panel(
                "Metric, target and replicas (kube-state-metrics)",
                "short",
                &[
                    (
                        of_autoscaler!("metric_name, metric_target_type", seen!()),
                        "{{metric_name}}, {{metric_target_type}}",
                    ),
                    (
                        of_autoscaler!("metric_name, metric_target_type", metric!("spec")),
                        "target of {{metric_name}}",
                    ),
                    (
                        of_autoscaler!("horizontalpodautoscaler", desired!()),
                        "replicas that {{horizontalpodautoscaler}} wants",
                    ),
                ],
            )
        },
        // The controller of Kubernetes acts beyond a tenth.
        panel(
            "Metric over target: more replicas above 1.1, fewer below 0.9 (kube-state-metrics)",
            "short",
            &[(
                concat!(
                    of_autoscaler!("metric_name, metric_target_type", metric!("status")),
                    " / ",
                    of_autoscaler!("metric_name, metric_target_type", metric!("spec"))
                ),
                "{{metric_name}}",
            )],
        ),
        panel(
            "Goroutines of the workload",
            "short",
            &[(
                "sum(go_goroutines{namespace=\"$namespace\"} * on (namespace, pod) group_left () max by (namespace, pod) (observer_pod_info{workload=\"$workload\"}))",
                "goroutines",
            )],
        ),
        panel(
            "Goroutines by pod, which the target is of",
            "short",
            &[(
                of_workload!("go_goroutines{namespace=\"$namespace\"}"),
                "{{pod}}",
            )],
        ),
        panel(
            "Replicas, and how many there may be (kube-state-metrics)",
            "short",
            &[
                (
                    of_autoscaler!(
                        "horizontalpodautoscaler",
                        "kube_horizontalpodautoscaler_status_current_replicas{namespace=\"$namespace\"}"
                    ),
                    "there are",
                ),
                (
                    of_autoscaler!("horizontalpodautoscaler", desired!()),
                    "wanted",
                ),
                (
                    of_autoscaler!(
                        "horizontalpodautoscaler",
                        "kube_horizontalpodautoscaler_spec_min_replicas{namespace=\"$namespace\"}"
                    ),
                    "at least",
                ),
                (
                    of_autoscaler!(
                        "horizontalpodautoscaler",
                        "kube_horizontalpodautoscaler_spec_max_replicas{namespace=\"$namespace\"}"
                    ),
                    "at most",
                ),
            ],
        ),
        panel(
            "Pods of the workload",
            "short",
            &[(
                "count(max by (pod) (observer_pod_info{namespace=\"$namespace\", workload=\"$workload\"}))",
                "pods",
            )],
        ),
    ],
};
