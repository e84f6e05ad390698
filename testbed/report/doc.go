// Package report is the result of an experiment and its three forms: report.json for scripts, one self-contained
// report.html with plots, and a summary for the terminal. It knows no experiment and nothing of the testbed: any
// command with an answer in numbers may write one.
//
// From what was measured down to the page:
//
//	Check     what was measured, what was expected, and pass, fail or undetermined. Counts are compared as
//	          they are; a quantity with noise brings its interval and test (Estimate), which measure.Claim fills in
//	Result    checks, controls, tables, parameters, environment: report.json           result.go, environment.go
//	Figure    an SVG document with its caption                                        figure.go
//	            Lines      series over x, with whiskers or bands; dots; theories        lines.go, axis.go
//	            Histogram  distributions below each other, with marks                    histogram.go
//	            Shares     bars with the band that chance leaves                        shares.go
//	            HeatMap    counts by row and column                                     heatmap.go
//	            Timeline   who did what when, or in which order                          timeline.go
//	            Hops       boxes and arrows: the stations of one connection             hops.go
//	Write     the folder: one file for each figure, report.json, report.html           folder.go, page.html.tmpl
//	Summary   the terminal                                                            summary.go
//
// Figures are drawn in currentColor and in colours that hold on white and on near-black, and tell series apart
// without colour. A page loads nothing from outside.
package report
