package api

// Problem is an RFC 9457 problem, the body of every answer that is not 2xx, with one
// extension: hint.
type Problem struct {
	Type   string  `json:"type,omitempty" doc:"about:blank: the status says the kind."`
	Title  string  `json:"title" doc:"The status in words."`
	Status int     `json:"status"`
	Detail string  `json:"detail" doc:"What went wrong, one line."`
	Hint   string  `json:"hint,omitempty" doc:"What to do, one line."`
	Errors []Field `json:"errors,omitempty" doc:"The fields that are wrong."`
}

// Field is one wrong field of a request.
type Field struct {
	Location string `json:"location" example:"body.services[0].vip"`
	Message  string `json:"message"`
	Hint     string `json:"hint,omitempty"`
}

// Error returns the detail.
func (p *Problem) Error() string { return p.Detail }

// GetStatus returns the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType returns application/problem+json for application/json.
func (p *Problem) ContentType(string) string { return "application/problem+json" }
