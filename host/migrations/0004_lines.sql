-- The lines in which ready runs stand: those of one component, first attempts apart from those that were attempted before.
CREATE INDEX step_runs_line ON step_runs (component, (attempt > 1 OR (kind = 'step' AND visit > 1)), due_at) WHERE status = 'ready';
