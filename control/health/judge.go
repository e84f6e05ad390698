package health

import (
	"time"

	"lbctl/control/intent"
)

const (
	// steady is how long a replica has to be healthy after it was not, so that its next fall is not one of a series.
	steady = 5 * time.Minute
	// mostFlaps bounds how often such falls double what a rise takes.
	mostFlaps = 4
)

// judge makes a status of results. The zero value knows nothing.
type judge struct {
	Result
	// decided: a result of this check has come.
	decided bool
	// against counts the results in a row that speak against the status.
	against uint32
	// rose is when the replica became healthy again last, flaps how often in a row it fell soon after that.
	rose  time.Time
	flaps uint8
	// ejected: what passes the datapath has made it unhealthy.
	ejected bool
}

// take takes the result of a check, nil for a good one, and tells whether what is known is different.
func (j *judge) take(c intent.Check, now time.Time, found error) bool {
	before := j.Result
	is, need := Healthy, uint32(c.Rise)<<j.flaps
	if found != nil {
		is, need = Unhealthy, uint32(c.Fall)
	}
	switch {
	case is == j.Status:
		j.against, j.decided = 0, true
	case !j.decided:
		j.become(is, now)
	default:
		if j.against++; j.against >= need {
			j.become(is, now)
		}
	}
	switch {
	case j.Status == Healthy:
		j.Reason = ""
	case found != nil:
		j.Reason = found.Error()
	}
	return j.Result != before
}

// become makes a status that of the replica. One that falls again and again has to be well for longer each time: a replica that
// comes and goes moves flows each time, and one that stays away moves them once.
func (j *judge) become(s Status, now time.Time) {
	switch {
	case s == Healthy && j.Status == Unhealthy:
		j.rose = now
	case s == Unhealthy && !j.rose.IsZero() && now.Sub(j.rose) < steady:
		j.flaps = min(j.flaps+1, mostFlaps)
	case s == Unhealthy:
		j.flaps = 0
	}
	j.Status, j.Since, j.against, j.decided, j.ejected = s, now, 0, true, false
}

// eject makes a replica unhealthy for what passes the datapath.
func (j *judge) eject(now time.Time) {
	j.become(Unhealthy, now)
	j.ejected = true
}

// unknown says that no check can be made, and why.
func (j *judge) unknown(now time.Time, why error) bool {
	before := j.Result
	if j.Status != Unknown || j.Since.IsZero() {
		*j = judge{Result: Result{Since: now}}
	}
	j.Reason = why.Error()
	return j.Result != before
}
