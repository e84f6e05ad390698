package encode

// Text is a field that is encoded already: it is written as it is.
type Text []byte

// List is a field that is a list, the elements of which are made while they are encoded: yield takes each, and keeps none. So
// they may all be in the same place.
type List[E any] func(yield func(*E))

func (l List[E]) each(do func(any)) { l(func(e *E) { do(e) }) }

// list is a List of any type.
type list interface{ each(do func(any)) }

func (w *writer) list(l list) {
	between := byte('[')
	l.each(func(e any) {
		w.WriteByte(between)
		w.part(e)
		between = ','
	})
	if between == '[' {
		w.WriteByte('[')
	}
	w.WriteByte(']')
}
