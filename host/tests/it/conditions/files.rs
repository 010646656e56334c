//! Files the program makes, and databases that are not what they should be.
