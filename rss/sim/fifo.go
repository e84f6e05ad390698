package sim

// fifo is a queue in a fixed room. The zero value has no room.
type fifo[T any] struct {
	// room is a power of two long; limit is what it may hold of it.
	room  []T
	limit int
	// head is where the first is, tail where the next goes; both only grow.
	head, tail uint
}

// newFIFO returns a queue for up to limit things, at least 1.
func newFIFO[T any](limit int) fifo[T] {
	size := 1
	for size < limit {
		size *= 2
	}
	return fifo[T]{room: make([]T, size), limit: limit}
}

func (f *fifo[T]) len() int    { return int(f.tail - f.head) }
func (f *fifo[T]) empty() bool { return f.tail == f.head }
func (f *fifo[T]) full() bool  { return f.len() == f.limit }

// front returns the first; the queue is not empty.
func (f *fifo[T]) front() *T { return &f.room[f.head&uint(len(f.room)-1)] }

// push appends; the queue is not full.
func (f *fifo[T]) push(v T) {
	f.room[f.tail&uint(len(f.room)-1)] = v
	f.tail++
}

// pop removes the first and returns it; the queue is not empty.
func (f *fifo[T]) pop() T {
	v := *f.front()
	f.head++
	return v
}
