package replay

import "lbctl/rss"

// Report is the result of a replay. Scripts rely on its JSON names.
type Report struct {
	File File `json:"file"`
	Load
	Seconds float64 `json:"seconds"`
	// Unhashed went to the default queue without a hash, by the causes in UnhashedBy. DefaultQueue is the number of that
	// queue, or "entry-0" for the one that entry 0 of the table names; Buckets[0] includes the load then.
	Unhashed     Load       `json:"unhashed"`
	UnhashedBy   []Unhashed `json:"unhashed_by"`
	DefaultQueue string     `json:"default_queue"`
	// Unpredicted was cut by the snapshot length before what the NIC hashes. It is in no other figure.
	Unpredicted Load `json:"unpredicted"`
	// Super are packets that the capturing host had merged or not segmented yet (GRO, TSO). Each was several on the wire.
	Super Load `json:"super_packets"`
	// Measure is the measure of Best, Verdict and Top.
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

// File describes the capture.
type File struct {
	// Format is pcap or pcapng.
	Format string `json:"format"`
	// Records is the number of records that were read.
	Records uint64 `json:"records"`
	// Cut says where a capture is cut short; empty for a whole one.
	Cut string `json:"cut,omitempty"`
	// Damage says where a capture is damaged; what follows was not read.
	Damage string `json:"damage,omitempty"`
	// Skipped are records whose link type is not supported.
	Skipped []Skipped `json:"skipped,omitempty"`
	// AbsurdTimes counts packets whose time is more than a year from the first one's. They are
	// assumed to have come with the packet before.
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
	// Band is the range of the number of hashed flows by chance, in 95 of 100 cases; nil when the
	// table changed, or nothing was hashed.
	Band *[2]int `json:"flows_by_chance,omitempty"`
}

// Bucket is the load of an entry of the indirection table.
type Bucket struct {
	Index int       `json:"index"`
	Queue rss.Queue `json:"queue"`
	Load
}

// Imbalances has the imbalance in each measure.
type Imbalances struct {
	Packets Imbalance `json:"packets"`
	Bytes   Imbalance `json:"bytes"`
	Flows   Imbalance `json:"flows"`
}

// Imbalance says how uneven queues are.
type Imbalance struct {
	// MaxMean is the load of the busiest queue divided by the mean: 1 is even.
	MaxMean float64 `json:"max_mean"`
	// CV is the coefficient of variation: 0 is even.
	CV float64 `json:"cv"`
	// Jain is the fairness index: 1 is even.
	Jain float64 `json:"jain"`
	// ByChance is the range of MaxMean in 95 of 100 cases when these flows are spread at random, as
	// under a random key; nil where it was not computed.
	ByChance *[2]float64 `json:"max_mean_by_chance,omitempty"`
	// ChiSquare tests whether the hashed flows are spread at random. It is for flows only, because packets and bytes are
	// not independent, and absent where a queue expects fewer than 5 of them.
	ChiSquare *ChiSquare `json:"chi_square,omitempty"`
}

// ChiSquare is the outcome of Pearson's test.
type ChiSquare struct {
	Statistic float64 `json:"statistic"`
	Degrees   int     `json:"degrees"`
	// P is the probability of at least this statistic by chance; below 0.01 chance is unlikely.
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
	// Share is its share of all load in the measure, 0 to 1.
	Share float64 `json:"share"`
}

// Windows are loads over time.
type Windows struct {
	// Seconds is the width of a window: the requested one, doubled until the number of windows was
	// below its limit.
	Seconds float64  `json:"seconds"`
	List    []Window `json:"list"`
}

// Window is the load of queues in a span of time.
type Window struct {
	// Start is in seconds since the first packet.
	Start   float64 `json:"start"`
	Packets uint64  `json:"packets"`
	Bytes   uint64  `json:"bytes"`
	// Queues are the loads of queues in the measure; MaxMean is their imbalance, 0 where nothing came.
	Queues  []uint64 `json:"loads"`
	MaxMean float64  `json:"max_mean"`
}

// Compared is the result of another setup.
type Compared struct {
	Name string `json:"name"`
	// Moved goes to another queue than under the first setup; a flow counts by its first packet.
	Moved        Load       `json:"moved"`
	Unhashed     Load       `json:"unhashed"`
	DefaultQueue string     `json:"default_queue"`
	Queues       []Queue    `json:"queues"`
	Buckets      []Bucket   `json:"buckets"`
	Imbalance    Imbalances `json:"imbalance"`
	Floor        float64    `json:"floor"`
}
