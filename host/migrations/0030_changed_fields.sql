-- What a transition has changed in the data of its instance: the names of its fields, and what they held before. What they hold since is told
-- by what came later. Most transitions write fields that were not there, and always the same ones: those have a small number.
CREATE TABLE changed_fields (
    pk      INTEGER PRIMARY KEY,
    changes TEXT NOT NULL UNIQUE
) STRICT;
-- A number of `changed_fields`, or the changes themselves.
ALTER TABLE history ADD COLUMN changes ANY;
