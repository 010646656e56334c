-- When a reservation ended, in the steady time, so that old ones are found without looking at all of them. NULL while it goes on.
ALTER TABLE reservations ADD COLUMN ended_at INTEGER;
-- Nobody knows how long ago those ended that are there: they begin to age now.
UPDATE reservations SET ended_at = (SELECT steady_at FROM process) WHERE status <> 'reserved';
CREATE INDEX reservations_ended ON reservations (ended_at) WHERE ended_at IS NOT NULL;
