package lb

// Drift is something in the kernel that is not as it was put there: somebody else has changed it.
type Drift struct {
	// Table is the table that it is in, or links or pins.
	Table string
	// Key says which row it is, in words: "10.1.0.2:8080 of tcp 192.0.2.1:80".
	Key string
	// Want is what was put there and Have what is there, as far as the two differ.
	Want, Have string
	// Repaired: it is again as it was put there.
	Repaired bool
}

// Verification is what a comparison of the kernel with what was put there has found.
type Verification struct {
	// Drifts are the first DriftsListed that were found.
	Drifts []Drift
	// Found counts all, and Repaired those that are again as they were put there.
	Found, Repaired uint64
}

// DriftsListed is how many drifts are listed at most. All are counted and, if that was asked, repaired.
const DriftsListed = 1000

// Add adds one.
func (v *Verification) Add(d Drift) {
	v.Found++
	if d.Repaired {
		v.Repaired++
	}
	if len(v.Drifts) < DriftsListed {
		v.Drifts = append(v.Drifts, d)
	}
}

// Join adds what another comparison has found.
func (v *Verification) Join(w Verification) {
	v.Found += w.Found
	v.Repaired += w.Repaired
	v.Drifts = append(v.Drifts, w.Drifts[:min(len(w.Drifts), DriftsListed-len(v.Drifts))]...)
}
