package lb

// MaxMaglevSize is the largest Maglev table: the greatest prime below 1<<22. Beyond it a
// table takes longer to build than its finer shares are worth.
const MaxMaglevSize = 4194301

// isPrime reports whether n is a prime, by trial division: n is at most
// MaxMaglevSize, so it divides at most 1,024 times.
func isPrime(n uint32) bool {
	if n < 2 || n%2 == 0 {
		return n == 2
	}
	for d := uint32(3); uint64(d)*uint64(d) <= uint64(n); d += 2 {
		if n%d == 0 {
			return false
		}
	}
	return true
}

// primeFrom returns the smallest prime that is at least n, at most MaxMaglevSize.
func primeFrom(n uint32) uint32 {
	for ; n < MaxMaglevSize; n++ {
		if isPrime(n) {
			return n
		}
	}
	return MaxMaglevSize
}
