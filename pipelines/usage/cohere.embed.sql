/*
about: >-
  Cohere embeddings and rerank. billed_units is what is billed: input tokens and images of the one, search units of the other.
apis: [cohere.embed, cohere.rerank]
aside: [tokens, cached_tokens]
basis: disjoint
fields:
  billed_units: {input_tokens: count, search_units: count, images: count}
*/
{
    'input_uncached_tokens': usage.billed_units.input_tokens,
    'context_test_tokens': usage.billed_units.input_tokens,
    'extra_units': map_from_entries(list_filter(
        [
            {'unit': 'search_units', 'quantity': cast(usage.billed_units.search_units as decimal(38, 9))},
            {'unit': 'images', 'quantity': cast(usage.billed_units.images as decimal(38, 9))}
        ],
        lambda usage_entry: usage_entry.quantity > 0
    )),
}
