"""The price book: which rate held for which model, when and on which conditions, and which names mean it.

``book`` builds it, ``lookup`` shows a price, ``version`` says what decides it. The installed price package is read by
``package`` alone, and only when the book is built.
"""
