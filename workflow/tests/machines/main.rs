//! What a definition may be, how instances of it move, and what holds whatever happens to them.

#[cfg(test)]
mod builder;
#[cfg(test)]
mod defects;
#[cfg(test)]
mod generated;
#[cfg(test)]
mod moves;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod shop;
