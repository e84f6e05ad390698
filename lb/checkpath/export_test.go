package checkpath

// WithFilters returns the options of a path that attaches its programs as before Linux 6.6.
func WithFilters(o Options) Options {
	o.filters = true
	return o
}

// Look looks at once after what is attached.
func (p *Path) Look() { p.look() }
