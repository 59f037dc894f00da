/*
about: >-
  Bedrock Guardrails: text units by policy, priced apiece. No tokens. Units of the free policies are left out.
apis: [bedrock.guardrail]
recognised_by:
  any: [topicPolicyUnits, contentPolicyUnits, wordPolicyUnits, sensitiveInformationPolicyUnits]
basis: disjoint
fields:
  topicPolicyUnits: count
  contentPolicyUnits: count
  contentPolicyImageUnits: count
  sensitiveInformationPolicyUnits: count
  contextualGroundingPolicyUnits: count
  automatedReasoningPolicyUnits: count
  wordPolicyUnits: count
*/
{
    'extra_units': map_from_entries(list_filter(
        [
            {'unit': 'guardrail_topic', 'quantity': cast(usage.topicPolicyUnits as decimal(38, 9))},
            {'unit': 'guardrail_content', 'quantity': cast(usage.contentPolicyUnits as decimal(38, 9))},
            {'unit': 'guardrail_content_image', 'quantity': cast(usage.contentPolicyImageUnits as decimal(38, 9))},
            {'unit': 'guardrail_sensitive_information', 'quantity': cast(usage.sensitiveInformationPolicyUnits as decimal(38, 9))},
            {'unit': 'guardrail_contextual_grounding', 'quantity': cast(usage.contextualGroundingPolicyUnits as decimal(38, 9))},
            {'unit': 'guardrail_automated_reasoning', 'quantity': cast(usage.automatedReasoningPolicyUnits as decimal(38, 9))}
        ],
        lambda usage_entry: usage_entry.quantity > 0
    )),
}
