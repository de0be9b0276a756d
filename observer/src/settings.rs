//! Every setting, checked before anything starts.
