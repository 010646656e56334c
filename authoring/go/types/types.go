// Package wit_types has the types that bindings made by wit-bindgen name, as go.bytecodealliance.org/pkg/wit/types has them.
package wit_types

// What a Result is, as its Tag says.
const (
	ResultOk  = 0
	ResultErr = 1
)

// What an Option is, as its Tag says.
const (
	OptionNone = 0
	OptionSome = 1
)

// Unit is a value that says nothing: what is left out in result<_, E> of WIT.
type Unit struct{}

// Result is result<T, E> of WIT.
type Result[T any, E any] struct {
	tag uint8
	ok  T
	err E
}

// Ok is a result that is fine.
func Ok[T any, E any](value T) Result[T, E] {
	return Result[T, E]{tag: ResultOk, ok: value}
}

// Err is a result that is an error.
func Err[T any, E any](value E) Result[T, E] {
	return Result[T, E]{tag: ResultErr, err: value}
}

// Tag is ResultOk or ResultErr.
func (r Result[T, E]) Tag() uint8 { return r.tag }

// IsOk tells whether it is fine.
func (r Result[T, E]) IsOk() bool { return r.tag == ResultOk }

// IsErr tells whether it is an error.
func (r Result[T, E]) IsErr() bool { return r.tag == ResultErr }

// Ok is the value of a result that is fine. It panics on an error.
func (r Result[T, E]) Ok() T {
	if r.tag != ResultOk {
		panic("the result is an error")
	}
	return r.ok
}

// Err is the error of a result. It panics where the result is fine.
func (r Result[T, E]) Err() E {
	if r.tag != ResultErr {
		panic("the result is no error")
	}
	return r.err
}

// Option is option<T> of WIT.
type Option[T any] struct {
	tag   uint8
	value T
}

// Some is an option with a value.
func Some[T any](value T) Option[T] {
	return Option[T]{tag: OptionSome, value: value}
}

// None is an option without one.
func None[T any]() Option[T] {
	return Option[T]{}
}

// Tag is OptionSome or OptionNone.
func (o Option[T]) Tag() uint8 { return o.tag }

// IsSome tells whether there is a value.
func (o Option[T]) IsSome() bool { return o.tag == OptionSome }

// IsNone tells whether there is none.
func (o Option[T]) IsNone() bool { return o.tag == OptionNone }

// Some is the value. It panics where there is none.
func (o Option[T]) Some() T {
	if o.tag != OptionSome {
		panic("the option has no value")
	}
	return o.value
}

// SomeOr is the value, or the other one where there is none.
func (o Option[T]) SomeOr(other T) T {
	if o.tag != OptionSome {
		return other
	}
	return o.value
}

// Tuple1 is tuple<T0> of WIT.
type Tuple1[T0 any] struct{ F0 T0 }

// Tuple2 is tuple<T0, T1> of WIT.
type Tuple2[T0, T1 any] struct {
	F0 T0
	F1 T1
}

// Tuple3 is tuple<T0, T1, T2> of WIT.
type Tuple3[T0, T1, T2 any] struct {
	F0 T0
	F1 T1
	F2 T2
}

// Tuple4 is tuple<T0, T1, T2, T3> of WIT.
type Tuple4[T0, T1, T2, T3 any] struct {
	F0 T0
	F1 T1
	F2 T2
	F3 T3
}
