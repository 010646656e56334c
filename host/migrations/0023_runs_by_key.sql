-- The key of a run begins with what it is a run of, so the runs of a resource stand together in the index of keys.
DROP INDEX step_runs_resource;
