-- Processes of one machine are told apart outside of the database too, as members of a group of consumers for one.

-- Its number among those of its machine, from 1: the least that no other one had when it came.
ALTER TABLE owners ADD COLUMN seat BIGINT NOT NULL DEFAULT 1;
