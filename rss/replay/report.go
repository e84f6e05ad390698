package replay

import "lbctl/rss"

// Report is what a replay found; scripts rely on its names.
type Report struct {
	File File `json:"file"`
	Load
	Seconds float64 `json:"seconds"`
	// Unhashed is what came to queue 0 because it was not hashed: what is not IP, is damaged, or
	// has no fields to hash.
	Unhashed Load `json:"unhashed"`
	// Measure is that of Best, Verdict and Top.
	Measure   Measure    `json:"measure"`
	Queues    []Queue    `json:"queues"`
	Buckets   []Bucket   `json:"buckets"`
	Imbalance Imbalances `json:"imbalance"`
	Floor     float64    `json:"floor"`
	Best      *Best      `json:"best,omitempty"`
	Verdict
	Top      []Flow      `json:"top"`
	Affinity []Violation `json:"affinity"`
	Windows  *Windows    `json:"windows,omitempty"`
	Compare  []Compared  `json:"compare,omitempty"`
}

// File is what is to be said of the capture itself.
type File struct {
	// Format is pcap or pcapng.
	Format string `json:"format"`
	// Cut says where a capture ends that is cut short; empty for a whole one.
	Cut string `json:"cut,omitempty"`
	// Skipped are records whose link type is not read.
	Skipped []Skipped `json:"skipped,omitempty"`
	// AbsurdTimes counts packets whose time is more than a year from the first one's; they are
	// taken to have come with the packet before.
	AbsurdTimes uint64 `json:"absurd_times,omitempty"`
}

// Skipped counts records of a link type.
type Skipped struct {
	Link    string `json:"link"`
	Records uint64 `json:"records"`
}

// Queue is the load of a queue.
type Queue struct {
	Queue rss.Queue `json:"queue"`
	Load
	// Band is where chance alone keeps the hashed flows of this queue, in 95 of 100 cases; nil when the
	// table changed, or nothing was hashed.
	Band *[2]int `json:"flows_by_chance,omitempty"`
}

// Bucket is the load of an entry of the indirection table.
type Bucket struct {
	Index int       `json:"index"`
	Queue rss.Queue `json:"queue"`
	Load
}

// Imbalances are those of each measure.
type Imbalances struct {
	Packets Imbalance `json:"packets"`
	Bytes   Imbalance `json:"bytes"`
	Flows   Imbalance `json:"flows"`
}

// Imbalance says how uneven queues are.
type Imbalance struct {
	// MaxMean is the load of the hottest queue by the mean: 1 is even.
	MaxMean float64 `json:"max_mean"`
	// CV is the coefficient of variation: 0 is even.
	CV float64 `json:"cv"`
	// Jain is the fairness index: 1 is even.
	Jain float64 `json:"jain"`
	// ByChance is where MaxMean lies in 95 of 100 cases when these flows fall on queues by chance, as
	// under a random key; nil where that was not computed.
	ByChance *[2]float64 `json:"max_mean_by_chance,omitempty"`
	// ChiSquare tests whether the hashed flows fell by chance; of packets and bytes, which come
	// in flows, it would say nothing.
	ChiSquare *ChiSquare `json:"chi_square,omitempty"`
}

// ChiSquare is the outcome of Pearson's test.
type ChiSquare struct {
	Statistic float64 `json:"statistic"`
	Degrees   int     `json:"degrees"`
	// P is the probability of at least this statistic by chance: below 0.01 it was hardly chance.
	P float64 `json:"p"`
}

// Flow is one of the largest flows.
type Flow struct {
	Source      string    `json:"source"`
	Destination string    `json:"destination"`
	Protocol    string    `json:"protocol"`
	Queue       rss.Queue `json:"queue"`
	Packets     uint64    `json:"packets"`
	Bytes       uint64    `json:"bytes"`
	// Share is its part of all load in the measure, 0 to 1.
	Share float64 `json:"share"`
}

// Windows are loads over time.
type Windows struct {
	// Seconds is the width of a window: that asked for, or as often doubled as was needed to
	// keep their number bounded.
	Seconds float64  `json:"seconds"`
	List    []Window `json:"list"`
}

// Window is the load of queues for a time.
type Window struct {
	// Start is in seconds since the first packet.
	Start   float64 `json:"start"`
	Packets uint64  `json:"packets"`
	Bytes   uint64  `json:"bytes"`
	// Queues are the loads of queues, in the measure; MaxMean is their imbalance, 0 where nothing came.
	Queues  []uint64 `json:"loads"`
	MaxMean float64  `json:"max_mean"`
}

// Compared is another set-up beside the first.
type Compared struct {
	Name string `json:"name"`
	// Moved is what comes to another queue under it; a flow counts by its first packet.
	Moved     Load       `json:"moved"`
	Unhashed  Load       `json:"unhashed"`
	Queues    []Queue    `json:"queues"`
	Buckets   []Bucket   `json:"buckets"`
	Imbalance Imbalances `json:"imbalance"`
	Floor     float64    `json:"floor"`
}
