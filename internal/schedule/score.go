package schedule

// SFS returns the share of the sum of singular values, given largest first,
// that lies outside the k largest: 1 - (s_1+...+s_k)/(s_1+...+s_r), eq. 5 of
// arXiv:2503.00572. It is high if the information is spread over many
// directions, and 0 if all singular values are 0.
func SFS(singular []float64, k int) float64 {
	top, all := 0.0, 0.0
	for i, v := range singular {
		if i < k {
			top += v
		}
		all += v
	}
	if all == 0 {
		return 0
	}
	return 1 - top/all
}

// Nuclear returns the sum of the singular values. The authors' release compares
// modules by it if it is given no k.
func Nuclear(singular []float64) float64 {
	sum := 0.0
	for _, v := range singular {
		sum += v
	}
	return sum
}

// Score returns the score of a module with the given singular values, by the
// score of the configuration.
func (s *Schedule) Score(singular []float64) float64 {
	if s.c.Score == ScoreNuclear {
		return Nuclear(singular)
	}
	return SFS(singular, s.c.SFSK)
}
