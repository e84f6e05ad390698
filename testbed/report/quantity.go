package report

// Quantity is a figure that was measured: a number with its unit and, where it has noise, its interval, or an answer of
// yes and no.
type Quantity struct {
	// Name is its name within the experiment: "replicas-of-a-connection".
	Name string `json:"name"`
	// Value is a number or a bool, nil if it could not be measured.
	Value any `json:"value"`
	// Unit is that of a number: "replicas", "us"; "" of a ratio.
	Unit string `json:"unit,omitempty"`
	// Low and High are the interval that the true value is in, nil where it has no end, both nil of what was
	// counted: that has no noise. Samples is from how many values the interval is.
	Low     *float64 `json:"interval_low,omitempty"`
	High    *float64 `json:"interval_high,omitempty"`
	Samples int      `json:"samples,omitempty"`
	// Why says why the value decides nothing, "" if it does: "the machine was not quiet".
	Why string `json:"why,omitempty"`
}

// Text writes the value for a reader, with its unit and its interval: "12.5 us (11.9 to 13.1)".
func (q Quantity) Text() string {
	s := ValueText(q.Value, q.Unit)
	if interval := (&Estimate{Low: q.Low, High: q.High}).Interval(); interval != "" {
		s += " (" + interval + ")"
	}
	return s
}

// ValueText writes a number with its unit, or yes or no, for a reader; "not measured" of nil.
func ValueText(v any, unit string) string {
	switch v {
	case nil:
		return "not measured"
	case true:
		return "yes"
	case false:
		return "no"
	}
	if unit == "" {
		return Cell(v)
	}
	return Cell(v) + " " + unit
}

// Prediction is what somebody expected of a quantity before the run, held against what was measured.
type Prediction struct {
	// Name is that of the quantity.
	Name     string `json:"name"`
	Question string `json:"question"`
	// Predicted is a number or a bool.
	Predicted any      `json:"predicted"`
	Measured  Quantity `json:"quantity"`
	// Rule says what a right number is: "within a factor of 2".
	Rule string `json:"rule,omitempty"`
	// Verdict is Pass of what was right, Fail of what was wrong, Undetermined if the quantity was not measured well enough.
	// It has no part in the verdict of the run.
	Verdict Verdict `json:"verdict"`
}
