package load

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lbctl/rss/balance"
	"lbctl/rss/nic"
	"lbctl/rss/sim"
)

// seeds are the seeds of all tests here. Each check allows for 4.5 standard errors, or a
// probability of 1e-5.
var seeds = []uint64{1, 2, 3}

const unlikely = 1e-5

func make4(t *testing.T, c Config) *Load {
	t.Helper()
	setup, err := nic.Default(4)
	if err != nil {
		t.Fatal(err)
	}
	n, err := nic.New(setup)
	if err != nil {
		t.Fatal(err)
	}
	l, err := New(n, c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// first returns the first n arrivals.
func first(l *Load, n int) []sim.Arrival {
	var list []sim.Arrival
	for a := range l.Arrivals() {
		if list = append(list, a); len(list) == n {
			break
		}
	}
	return list
}

func plain(seed uint64) Config {
	return Config{Seed: seed, Rate: 1e6, Timing: Poisson, Choice: Uniform, Flows: 100, Lengths: Fixed(64)}
}

// gaps returns the mean of the gaps in nanoseconds, and their squared coefficient of variation.
func gaps(list []sim.Arrival) (mean, scv float64) {
	last, n := time.Duration(0), float64(len(list))
	var squares float64
	for _, a := range list {
		gap := float64(a.At - last)
		mean += gap / n
		squares += gap * gap / n
		last = a.At
	}
	return mean, squares/mean/mean - 1
}

func TestTiming(t *testing.T) {
	const n = 200_000
	for _, seed := range seeds {
		c := plain(seed)
		c.Rate = 3e5
		c.Timing = Constant
		list := first(make4(t, c), n)
		for i, a := range list {
			if want := float64(i+1) / c.Rate * 1e9; math.Abs(float64(a.At)-want) > 0.51 {
				t.Fatalf("constant: packet %d at %d, want %.1f ns", i, a.At, want)
			}
		}
		c.Timing = Poisson
		mean, scv := gaps(first(make4(t, c), n))
		if want := 1e9 / c.Rate; math.Abs(mean-want) > 4.5*want/math.Sqrt(n) {
			t.Errorf("poisson, seed %d: mean gap of %g, want %g", seed, mean, want)
		}
		// The variance of a sample variance of exponentials is 8/n of its square.
		if math.Abs(scv-1) > 4.5*math.Sqrt(8./n) {
			t.Errorf("poisson, seed %d: squared variation of %g, want 1", seed, scv)
		}
	}
}

// TestBursts: gaps of an interrupted Poisson process have the mean 1/rate and the squared
// variation 1 + 2 * peak * off^2 * on / (on + off)^2 (Kuczura, Bell System Technical Journal
// 52(3), 1973).
func TestBursts(t *testing.T) {
	const batches, size = 400, 1000
	for _, seed := range seeds {
		c := plain(seed)
		c.Timing, c.On, c.Off = Bursts, 10*time.Microsecond, 30*time.Microsecond
		var means, squares []float64
		start := time.Duration(0)
		for batch := range slices.Chunk(first(make4(t, c), batches*size), size) {
			end := batch[size-1].At
			for i := range batch {
				batch[i].At -= start
			}
			start = end
			mean, scv := gaps(batch)
			means, squares = append(means, mean), append(squares, (scv+1)*mean*mean)
		}
		on, off := c.On.Seconds(), c.Off.Seconds()
		scv := 1 + 2*c.Rate*off*off/(on+off)
		agrees(t, "mean gap", seed, means, 1e9/c.Rate)
		agrees(t, "mean squared gap", seed, squares, (scv+1)*1e18/c.Rate/c.Rate)
		// Its gaps are independent, so that the variance of their mean is theirs by their number.
		dispersion := variance(means) * size * c.Rate * c.Rate / 1e18
		if math.Abs(dispersion/scv-1) > 4.5*math.Sqrt(2./batches) {
			t.Errorf("seed %d: dispersion of %g, want %g", seed, dispersion, scv)
		}
	}
}

// agrees compares the mean of batches, nearly independent, with theory.
func agrees(t *testing.T, name string, seed uint64, batches []float64, theory float64) {
	t.Helper()
	deviation := math.Sqrt(variance(batches) / float64(len(batches)))
	if got := mean(batches); math.Abs(got-theory) > 4.5*deviation || deviation > 0.03*theory {
		t.Errorf("seed %d: %s of %g +- %g, want %g", seed, name, got, deviation, theory)
	}
}

func mean(values []float64) (mean float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	return mean
}

func variance(values []float64) (variance float64) {
	m := mean(values)
	for _, v := range values {
		variance += (v - m) * (v - m) / float64(len(values)-1)
	}
	return variance
}

// TestPopularity: flows and lengths of packets are drawn by their weights.
func TestPopularity(t *testing.T) {
	zipf, elephants, uniform := plain(0), plain(0), plain(0)
	zipf.Choice, zipf.Skew = Zipf, 1.1
	elephants.Choice, elephants.Elephants, elephants.ElephantShare = Elephants, 2, 0.7
	for _, c := range []struct {
		config Config
		// weights are worked out anew.
		weight func(i int) float64
	}{
		{uniform, func(int) float64 { return 1 }},
		{zipf, func(i int) float64 { return math.Exp(-1.1 * math.Log(float64(i+1))) }},
		{elephants, func(i int) float64 { return map[bool]float64{true: 0.35, false: 0.3 / 98}[i < 2] }},
	} {
		for _, seed := range seeds {
			c.config.Seed, c.config.Lengths = seed, IMIX()
			l := make4(t, c.config)
			flows, place := make([]int, len(l.flows)), map[uint32]int{}
			for i, f := range l.flows {
				place[f.hash] = i
			}
			lengths, weights := map[int]int{}, make([]float64, len(flows))
			for i := range weights {
				weights[i] = c.weight(i)
			}
			for _, a := range first(l, 100_000) {
				flows[place[a.Hash]]++
				lengths[a.Length]++
			}
			fits(t, string(c.config.Choice), seed, flows, weights)
			fits(t, "lengths", seed, []int{lengths[64], lengths[594], lengths[1518]}, []float64{7, 4, 1})
		}
	}
}

func fits(t *testing.T, name string, seed uint64, counts []int, weights []float64) {
	t.Helper()
	fit, err := balance.ChiSquare(counts, weights)
	if err != nil {
		t.Fatal(err)
	}
	if fit.P < unlikely || fit.P > 1-unlikely {
		t.Errorf("%s, seed %d: chi-square of %.1f with %d degrees, probability %.2g", name, seed, fit.Statistic, fit.Degrees, fit.P)
	}
}

// TestFlood: every packet is of another flow, and they are spread evenly over the table.
func TestFlood(t *testing.T) {
	for _, seed := range seeds {
		c := plain(seed)
		c.Choice, c.Flows = Flood, 0
		entries, hashes := make([]int, 128), map[uint32]bool{}
		const n = 50_000
		for _, a := range first(make4(t, c), n) {
			entries[a.Hash%128]++
			hashes[a.Hash] = true
		}
		fits(t, "entries", seed, entries, balance.Equal(128))
		if len(hashes) < n-10 {
			t.Errorf("seed %d: %d hashes of %d packets", seed, len(hashes), n)
		}
	}
}

// TestRepeatable: a load is the same every time, another seed gives another load, and a change of one part leaves the
// others the same.
func TestRepeatable(t *testing.T) {
	base := first(make4(t, plain(1)), 1000)
	l := make4(t, plain(1))
	if diff := cmp.Diff(base, first(l, 1000)) + cmp.Diff(base, first(l, 1000)); diff != "" {
		t.Errorf("seed 1 twice:\n%s", diff)
	}
	if cmp.Equal(base, first(make4(t, plain(2)), 1000)) {
		t.Error("seeds 1 and 2 give the same")
	}
	c := plain(1)
	c.Lengths = IMIX()
	c.Timing = Constant
	for i, a := range first(make4(t, c), 1000) {
		if a.Hash != base[i].Hash {
			t.Fatalf("other lengths and times change the flow of packet %d", i)
		}
	}
}

func TestMeanLength(t *testing.T) {
	if got := MeanLength(IMIX()); got != (7*64+4*594+1518)/12. {
		t.Errorf("imix: %g", got)
	}
	if got := MeanLength(Fixed(100)); got != 100 {
		t.Errorf("fixed: %g", got)
	}
}

func TestWrongConfig(t *testing.T) {
	for _, c := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.Rate = 0 }, "rate of 0 packets/s: want more than 0, at most 1e+09"},
		{func(c *Config) { c.Rate = math.NaN() }, "rate of NaN"},
		{func(c *Config) { c.Rate = math.Inf(1) }, "rate of +Inf"},
		{func(c *Config) { c.Timing = "now" }, `timing "now" is not known`},
		{func(c *Config) { c.Timing, c.On = Bursts, time.Second }, "bursts of 1s every 0s"},
		{func(c *Config) { c.Choice = "mine" }, `choice of flows "mine" is not known`},
		{func(c *Config) { c.Flows = 0 }, "0 flows: want 1 to 16777216"},
		{func(c *Config) { c.Flows = MaxFlows + 1 }, "16777217 flows"},
		{func(c *Config) { c.Choice, c.Skew = Zipf, -1 }, "skew of -1"},
		{func(c *Config) { c.Choice, c.Elephants = Elephants, 100 }, "100 elephants of 100 flows"},
		{func(c *Config) { c.Choice, c.Elephants, c.ElephantShare = Elephants, 1, 1.5 }, "elephants' share of 1.5"},
		{func(c *Config) { c.Lengths = nil }, "no length of frames"},
		{func(c *Config) { c.Lengths = Fixed(13) }, "frames of 13 bytes: want 14 to 65535"},
		{func(c *Config) { c.Lengths = []Length{{64, 0}} }, "weight 0 of frames of 64 bytes"},
	} {
		config := plain(1)
		c.change(&config)
		if _, err := New(nil, config); err == nil || !strings.HasPrefix(err.Error(), "make load: "+c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}
