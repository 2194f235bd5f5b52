/** Constant of a build, given on asc's command line: whether the cache is int8. */
declare const KV_INT8: bool;
