package kvstore

import "math"

// distribution is the probabilities of 0, 1, ...
type distribution []float64

// distinct returns the distribution of the number of different places among r connections that are chosen at random from all,
// each set of r as likely as any other, when places have so many connections. The connections of place after
// place are considered: how many of those still to be chosen are among them is hypergeometric.
func distinct(connections []int, r int) distribution {
	left := 0
	for _, n := range connections {
		left += n
	}
	r = min(r, left)
	// chosen[j][d] is the probability that j connections were chosen so far, at d places.
	chosen := make([][]float64, r+1)
	for j := range chosen {
		chosen[j] = make([]float64, len(connections)+1)
	}
	chosen[0][0] = 1
	for _, here := range connections {
		next := make([][]float64, r+1)
		for j := range next {
			next[j] = make([]float64, len(connections)+1)
		}
		for j, places := range chosen {
			for x := 0; x <= min(here, r-j); x++ {
				p := hypergeometric(left, here, r-j, x)
				for d := range len(connections) {
					next[j+x][d+min(x, 1)] += p * places[d]
				}
			}
		}
		chosen, left = next, left-here
	}
	return chosen[r]
}

// hypergeometric returns the probability that x of n that are chosen from all are among some.
func hypergeometric(all, some, n, x int) float64 {
	if x > some || n-x > all-some || n > all {
		return 0
	}
	return math.Exp(choose(some, x) + choose(all-some, n-x) - choose(all, n))
}

// choose returns the logarithm of the number of sets of k out of n.
func choose(n, k int) float64 {
	lg := func(v int) float64 { l, _ := math.Lgamma(float64(v + 1)); return l }
	return lg(n) - lg(k) - lg(n-k)
}

// plus returns the distribution of the sum of two independent numbers.
func (d distribution) plus(e distribution) distribution {
	sum := make(distribution, len(d)+len(e)-1)
	for i, p := range d {
		if p == 0 {
			continue
		}
		for j, q := range e {
			sum[i+j] += p * q
		}
	}
	return sum
}

func (d distribution) mean() (mean float64) {
	for n, p := range d {
		mean += float64(n) * p
	}
	return mean
}

// tail returns how likely a number is that is as far out as n, on either side.
func (d distribution) tail(n int) float64 {
	low, high := 0.0, 0.0
	for i, p := range d {
		if i <= n {
			low += p
		}
		if i >= n {
			high += p
		}
	}
	return min(1, 2*min(low, high))
}

// byChance is how many of equal places r connections come to on average: N(1-(1-1/N)^r).
func byChance(places int, r float64) float64 {
	if places == 0 {
		return 0
	}
	n := float64(places)
	return n * (1 - math.Pow(1-1/n, r))
}
