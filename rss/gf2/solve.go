package gf2

// Solution returns one solution. free chooses the unknowns that the equations leave open, given those
// above it; with random choices each solution is equally likely.
func (s *System) Solution(free func(unknown int) bool) Vector {
	x := Zero(s.unknowns)
	for i := s.unknowns - 1; i >= 0; i-- {
		if s.pivot[i] < 0 {
			x.Set(i, free(i))
			continue
		}
		row := s.row(int(s.pivot[i]))
		value := row.Bit(s.unknowns)
		for j := range row.Ones() {
			if j < s.unknowns && j > i && x.Bit(j) {
				value = !value
			}
		}
		x.Set(i, value)
	}
	return x
}

// Determined returns which unknowns have the same value in all solutions.
func (s *System) Determined() Vector {
	determined := Zero(s.unknowns)
	// From the last unknown up, each row is freed of the later pivots, by rows that are free already.
	reduced := make([]Vector, s.unknowns)
	for i := s.unknowns - 1; i >= 0; i-- {
		if s.pivot[i] < 0 {
			continue
		}
		row := append(Vector(nil), s.row(int(s.pivot[i]))...)
		for j := range s.row(int(s.pivot[i])).Ones() {
			if j > i && j < s.unknowns && reduced[j] != nil {
				row.Add(reduced[j])
			}
		}
		reduced[i] = row
		row.Set(s.unknowns, false)
		determined.Set(i, row.Weight() == 1)
	}
	return determined
}

// Kernel returns a basis of the solutions of the system with all right-hand sides 0: adding
// its vectors to a solution gives every other one.
func (s *System) Kernel() []Vector {
	homogeneous := s.Clone()
	for i := range s.Rank() {
		homogeneous.row(i).Set(s.unknowns, false)
	}
	var basis []Vector
	for i, row := range s.pivot {
		if row < 0 {
			basis = append(basis, homogeneous.Solution(func(unknown int) bool { return unknown == i }))
		}
	}
	return basis
}

// Nothing chooses 0 for every unknown that is left open.
func Nothing(int) bool { return false }
