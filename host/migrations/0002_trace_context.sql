-- W3C trace context: of the request that created the resource, and of the event that a run belongs to.
ALTER TABLE resources ADD COLUMN traceparent TEXT;
ALTER TABLE step_runs ADD COLUMN traceparent TEXT;
