package predict

import (
	"fmt"
	"strconv"

	"lbctl/rss/balance"
	"lbctl/testbed/report"
)

// Band is the share of runs in which chance alone keeps a count in the band of Shares.
const Band = 0.95

// Shares returns, for a figure, how often each of several places was chosen, numbered from 0, beside what is expected by their
// weights, and the band in which chance alone keeps it. There is a count for each weight. Errors are those of balance.ShareBands.
func Shares(counts []int, weights []float64) ([]report.Share, error) {
	n := 0
	for _, c := range counts {
		n += c
	}
	bands, err := balance.ShareBands(n, weights, Band)
	if err != nil {
		return nil, fmt.Errorf("draw shares: %w", err)
	}
	var shares []report.Share
	for i, weight := range weights {
		shares = append(shares, report.Share{
			Label: strconv.Itoa(i), Count: float64(counts[i]), Expected: float64(n) * weight,
			Low: float64(bands[i].Low), High: float64(bands[i].High),
		})
	}
	return shares, nil
}
