// Package runtime gives bindings made by wit-bindgen their memory and their handles, as go.bytecodealliance.org/pkg/wit/runtime does, for
// Go's own compiler (wasip1, c-shared) and without a link to what is private of Go's runtime.
package runtime

import (
	"runtime"
	"unsafe"
)

// The adapter of WASI preview 1 takes its stack and its state, 64 KiB each, while Go's runtime is starting and gives no memory. It gets
// them from here.
var (
	early     [256 << 10]byte
	earlyUsed uintptr
	started   bool
)

func init() { started = true }

// What the host was given for the values of the call under way.
var given runtime.Pinner

// Allocate returns size bytes with this alignment, which stay where they are until pinner is unpinned.
func Allocate(pinner *runtime.Pinner, size, align uintptr) unsafe.Pointer {
	if size == 0 {
		return unsafe.Pointer(align)
	}
	// Words of 8 bytes are aligned for every type.
	at := unsafe.Pointer(unsafe.SliceData(make([]uint64, (size+7)/8)))
	pinner.Pin(at)
	return at
}

// Unpin lets go of what the host was given: from here on it is kept by what refers to it.
func Unpin() { given.Unpin() }

//go:nosplit
func allocateEarly(size, align uintptr) unsafe.Pointer {
	base := uintptr(unsafe.Pointer(&early))
	at := (base + earlyUsed + align - 1) &^ (align - 1)
	earlyUsed = at + size - base
	if earlyUsed > uintptr(len(early)) {
		*(*byte)(nil) = 0 // A trap: nothing better can be said here.
	}
	return unsafe.Pointer(at)
}

// The collector of garbage asks for the time, which a component may not while its memory is being asked for: the adapter gives it the one
// that it has.
//
//go:wasmimport wasi_snapshot_preview1 adapter_monotonic_clock_set_paused
func adapterMonotonicClockSetPaused(paused bool)

//go:wasmexport cabi_realloc
//go:nosplit
func cabiRealloc(old unsafe.Pointer, oldSize, align, size uint32) unsafe.Pointer {
	if !started {
		return allocateEarly(uintptr(size), uintptr(align))
	}
	return reallocate(old, oldSize, align, size)
}

func reallocate(old unsafe.Pointer, oldSize, align, size uint32) unsafe.Pointer {
	adapterMonotonicClockSetPaused(true)
	at := Allocate(&given, uintptr(size), uintptr(align))
	adapterMonotonicClockSetPaused(false)
	if oldSize > 0 {
		copy(unsafe.Slice((*byte)(at), size), unsafe.Slice((*byte)(old), oldSize))
	}
	return at
}

// Handle is a resource of the host's, or 0 where it was given away.
type Handle struct{ value int32 }

// MakeHandle is the handle with this number.
func MakeHandle(value int32) *Handle {
	if value == 0 {
		panic("a resource has the number 0")
	}
	return &Handle{value}
}

// Use is its number. It panics where it was given away.
func (h *Handle) Use() int32 {
	if h.value == 0 {
		panic("the resource was given away or dropped")
	}
	return h.value
}

// Take is its number, which is given away. It panics where it already was.
func (h *Handle) Take() int32 {
	value := h.Use()
	h.value = 0
	return value
}

// TakeOrNil is its number, which is given away, or 0 where it already was.
func (h *Handle) TakeOrNil() int32 {
	value := h.value
	h.value = 0
	return value
}

// Set gives it a number. It panics where it has one.
func (h *Handle) Set(value int32) {
	if value == 0 || h.value != 0 {
		panic("the resource has a number already, or is to have the number 0")
	}
	h.value = value
}
